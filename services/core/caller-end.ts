import type { Change } from "./change.ts";
import { type ErrorReason, IchorError } from "./errors.ts";
import type { KeyId, TenantId } from "./ids.ts";

// A stream outlasts the moment in which its caller was let in: what tells that it must be asked again.

/** Whose credential keeps a stream open. */
export interface StreamCaller {
  readonly keyId: KeyId;
  readonly callerTenantId: TenantId;
}

/** Whether a change may end a caller's credential; after another history (undefined), any may be gone. */
export function mayEndCaller(change: Change | undefined, { keyId, callerTenantId }: StreamCaller): boolean {
  switch (change?.kind) {
    case "key":
      return change.keyIds.includes(keyId);
    case "token":
      return change.tokens.some((token) => token.keyId === keyId);
    case "tenant":
      return change.tenantId === callerTenantId && change.event !== "changed";
    case "store":
    case undefined:
      return true;
    default:
      return false;
  }
}

const refusals: ReadonlySet<ErrorReason> = new Set<ErrorReason>([
  "CREDENTIAL_REFUSED",
  "SCOPE_MISSING",
  "TENANT_NOT_ALLOWED",
  "TENANT_NOT_FOUND",
]);

/** Whether the caller isn't let in any more; that it can't be told now ends no stream. */
export function isCallerRefusal(reason: unknown): boolean {
  return reason instanceof IchorError && refusals.has(reason.reason);
}
