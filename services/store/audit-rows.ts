import type { AuditEvent } from "../core/audit-event.ts";
import type { EventId, KeyId, TenantId } from "../core/ids.ts";

/** A row of `audit_event`, by its columns' names in the models. */
export interface AuditRow {
  readonly revision: bigint;
  readonly id: string;
  readonly timeMs: bigint;
  readonly tenantId: string;
  readonly action: string;
  readonly target: string;
  readonly callerKeyId: string | null;
  readonly callerTenantId: string | null;
  readonly address: string;
  readonly requestId: string;
  readonly beforeDigest: Uint8Array | null;
  readonly afterDigest: Uint8Array | null;
  readonly details: string | null;
}

/** Gives the columns of an event. */
export function auditRowOf(revision: bigint, event: AuditEvent): AuditRow {
  return {
    revision,
    id: event.id,
    timeMs: BigInt(event.timeMs),
    tenantId: event.tenantId,
    action: event.action,
    target: event.target,
    callerKeyId: event.caller?.keyId ?? null,
    callerTenantId: event.caller?.tenantId ?? null,
    address: event.address,
    requestId: event.requestId,
    beforeDigest: event.beforeDigest ?? null,
    afterDigest: event.afterDigest ?? null,
    details: event.details === undefined ? null : JSON.stringify(event.details),
  };
}

/** Gives the event of a row. Throws SyntaxError for details that aren't ours. */
export function auditEventOf(row: AuditRow): AuditEvent {
  const { callerKeyId, callerTenantId, beforeDigest, afterDigest, details } = row;
  const called = callerKeyId !== null && callerTenantId !== null;
  return {
    id: row.id as EventId,
    timeMs: Number(row.timeMs),
    tenantId: row.tenantId as TenantId,
    action: row.action,
    target: row.target,
    ...(called && { caller: { keyId: callerKeyId as KeyId, tenantId: callerTenantId as TenantId } }),
    address: row.address,
    requestId: row.requestId,
    ...(beforeDigest !== null && { beforeDigest }),
    ...(afterDigest !== null && { afterDigest }),
    ...(details !== null && { details: JSON.parse(details) }),
  };
}
