import type { EventId, KeyId, TenantId } from "./ids.ts";

/** One entry of the audit trail: a mutation, or what the server noticed. Ids and digests, never a secret. */
export interface AuditEvent {
  readonly id: EventId;
  readonly timeMs: number;
  /** The tenant that was acted on. */
  readonly tenantId: TenantId;
  /** The method's name, as `RotateApiKey`; for what the server does or notices by itself, or an operator's command does, a name of its own. */
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
  /** What else there is to tell, as counts; never a secret. */
  readonly details?: Readonly<Record<string, string>>;
}

/** An audit event with the revision of its change. */
export interface LoggedEvent extends AuditEvent {
  readonly revision: bigint;
}

/** What whoever writes an event says of it; id and time come with the commit. */
export type NewAuditEvent = Omit<AuditEvent, "id" | "timeMs">;

/** The event of what the server does or notices by itself. */
export function byItself(tenantId: TenantId, action: string, target: string): NewAuditEvent {
  return { tenantId, action, target, address: "", requestId: "" };
}
