import type { AuditEvent } from "../audit-event.ts";
import {
  type FilterFault,
  type FilterTerm,
  narrowedRange,
  parsedFilter,
  requireOnce,
  TermFault,
  type TimeRange,
} from "../filter-terms.ts";

/** What audit events must have, all of it. Empty: any event. */
export interface AuditFilter {
  readonly action?: string;
  readonly target?: string;
  readonly callerKeyId?: string;
  readonly requestId?: string;
  readonly eventTime: TimeRange;
  /** Only later ones. */
  readonly afterRevision?: bigint;
  /** Only earlier ones. */
  readonly beforeRevision?: bigint;
}

/** Parses a filter; empty text is the empty filter. Gives the first fault otherwise. */
export function parseAuditFilter(text: string): AuditFilter | FilterFault {
  return parsedFilter(text, filterOf);
}

/** Whether an event is one that the filter lets through, whatever its revision. */
export function matchesAuditFilter(filter: AuditFilter, event: AuditEvent): boolean {
  const { action, target, callerKeyId, requestId, eventTime } = filter;
  const { afterMs = Number.NEGATIVE_INFINITY, beforeMs = Number.POSITIVE_INFINITY } = eventTime;
  return (
    (action === undefined || event.action === action) &&
    (target === undefined || event.target === target) &&
    (callerKeyId === undefined || event.caller?.keyId === callerKeyId) &&
    (requestId === undefined || event.requestId === requestId) &&
    event.timeMs > afterMs &&
    event.timeMs < beforeMs
  );
}

type Draft = { -readonly [K in keyof AuditFilter]: AuditFilter[K] };

const textFields: Readonly<Record<string, "action" | "target" | "callerKeyId" | "requestId" | undefined>> = {
  action: "action",
  target: "target",
  caller_key_id: "callerKeyId",
  request_id: "requestId",
};

function filterOf(terms: readonly FilterTerm[]): AuditFilter {
  const filter: Draft = { eventTime: {} };
  const seen = new Set<string>();
  for (const term of terms) {
    const { field, operator, value, at } = term;
    requireOnce(seen, term);
    const text = textFields[field];
    if (field === "event_time") filter.eventTime = narrowedRange(filter.eventTime, term);
    else if (field === "revision") filter[operator === "<" ? "beforeRevision" : "afterRevision"] = revisionOf(term);
    else if (text === undefined) throw new TermFault(at, "is no field to filter by");
    else if (operator !== "=") throw new TermFault(at, `${field} takes = only`);
    else filter[text] = value;
  }
  return filter;
}

function revisionOf({ operator, value, at, valueAt }: FilterTerm): bigint {
  if (operator === "=") throw new TermFault(at, "revision takes < or > only");
  if (!/^\d{1,18}$/.test(value)) throw new TermFault(valueAt, "expected a revision");
  return BigInt(value);
}
