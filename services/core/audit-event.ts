import type { EventId, KeyId, TenantId } from "./ids.ts";

/** One mutation, as the audit trail keeps it: ids and digests, never a secret. */
export interface AuditEvent {
  readonly id: EventId;
  readonly timeMs: number;
  /** The tenant that was acted on. */
  readonly tenantId: TenantId;
  /** The method's name, as `RotateApiKey`; for what the server or an operator's command does, a name of its own. */
  readonly action: string;
  /** The id of what was changed. */
  readonly target: string;
  /** Who did it; absent for the server itself. */
  readonly caller?: { readonly keyId: KeyId; readonly tenantId: TenantId };
  /** Address of who called; empty if unknown. */
  readonly address: string;
  /** Caller's `request_id`; empty if none. */
  readonly requestId: string;
  /** SHA-256 of the target before, 32 bytes; absent if it was made. */
  readonly beforeDigest?: Uint8Array;
  /** SHA-256 of the target after, 32 bytes; absent if it is gone. */
  readonly afterDigest?: Uint8Array;
}

/** The audit event of what the server does by itself: an action's name that is no method's. */
export function byItself(
  tenantId: TenantId,
  action: string,
  target: string,
): Pick<AuditEvent, "tenantId" | "action" | "target" | "address" | "requestId"> {
  return { tenantId, action, target, address: "", requestId: "" };
}
