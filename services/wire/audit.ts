import type { MessageInitShape } from "@bufbuild/protobuf";
import {
  type AuditEvent as AuditEventPb,
  type AuditEventSchema,
  AuditFaultKind,
  type AuditFaultSchema,
  type ChainLink as ChainLinkPb,
  type ChainLinkSchema,
} from "../../gen/ichor/v1/audit_pb.ts";
import { type ChainEntry, eventDigest } from "../core/audit/check-chain.ts";
import { describeFault, type TrailFault } from "../core/audit/trail-check.ts";
import type { LoggedEvent } from "../core/audit-event.ts";
import type { EventId, KeyId, TenantId } from "../core/ids.ts";
import { fromTimestamp, toTimestamp } from "./time.ts";

const none = new Uint8Array(0);

/** The message of an event. */
export function auditEventToProto(event: LoggedEvent): MessageInitShape<typeof AuditEventSchema> {
  const { timeMs, caller, beforeDigest = none, afterDigest = none, details = {}, ...rest } = event;
  return {
    ...rest,
    eventTime: toTimestamp(timeMs),
    callerKeyId: caller?.keyId ?? "",
    callerTenantId: caller?.tenantId ?? "",
    beforeDigest,
    afterDigest,
    details: { ...details },
  };
}

/** The event of a message, as it was hashed. Not checked: whether it is right is for the chain to say. */
export function auditEventFromProto(message: AuditEventPb): LoggedEvent {
  const { callerKeyId, callerTenantId, beforeDigest, afterDigest, details } = message;
  return {
    id: message.id as EventId,
    revision: message.revision,
    timeMs: (message.eventTime && fromTimestamp(message.eventTime)) ?? 0,
    tenantId: message.tenantId as TenantId,
    action: message.action,
    target: message.target,
    ...(callerKeyId !== "" && { caller: { keyId: callerKeyId as KeyId, tenantId: callerTenantId as TenantId } }),
    address: message.address,
    requestId: message.requestId,
    ...(beforeDigest.length > 0 && { beforeDigest }),
    ...(afterDigest.length > 0 && { afterDigest }),
    ...(Object.keys(details).length > 0 && { details }),
  };
}

/** The link of an entry; what is gone is empty. */
export function chainLinkToProto({ revision, change, event }: ChainEntry): MessageInitShape<typeof ChainLinkSchema> {
  return {
    revision,
    changeDigest: change?.changeDigest ?? none,
    eventDigest: event === undefined ? none : eventDigest(event),
    hash: change?.hash ?? none,
  };
}

/** The entry of a link, with its event if its tenant's are known. */
export function chainEntryOf(link: ChainLinkPb, event: LoggedEvent | undefined): ChainEntry {
  const { revision, changeDigest, hash } = link;
  const gone = link.eventDigest.length === 0;
  return {
    revision,
    change: hash.length === 0 ? undefined : { hash, changeDigest },
    event: eventOf(event) ?? (gone ? undefined : { digest: link.eventDigest }),
  };
}

/** The message of a fault. */
export function faultToProto(fault: TrailFault): MessageInitShape<typeof AuditFaultSchema> {
  return {
    kind: AuditFaultKind[fault.kind],
    revision: fault.revision,
    otherRevision: fault.otherRevision ?? 0n,
    checkpoint: fault.checkpoint ?? 0n,
    description: describeFault(fault),
  };
}

function eventOf(logged: LoggedEvent | undefined) {
  if (logged === undefined) return undefined;
  const { revision: _, ...event } = logged;
  return event;
}
