import type { KeyStatus } from "./api-key.ts";
import {
  type FilterFault,
  type FilterTerm,
  narrowedRange,
  parsedFilter,
  requireOnce,
  TermFault,
  type TimeRange,
} from "./filter-terms.ts";

/** What keys must have, all of it. Empty: any key. */
export interface KeyFilter {
  readonly ownerId?: string;
  readonly status?: KeyStatus;
  readonly prefix?: string;
  readonly name?: { readonly equals: string } | { readonly begins: string };
  /** Each listed literally. */
  readonly scopes: readonly string[];
  readonly labels: readonly (readonly [name: string, value: string])[];
  readonly createTime: TimeRange;
  /** A key that never expires ends after every time. */
  readonly expireTime: TimeRange;
  /** A key that was never used was used before every time. */
  readonly lastUsedTime: TimeRange;
}

/** Parses a filter; empty text is the empty filter. Gives the first fault otherwise. */
export function parseKeyFilter(text: string): KeyFilter | FilterFault {
  return parsedFilter(text, filterOf);
}

type Draft = {
  -readonly [K in keyof KeyFilter]: KeyFilter[K] extends readonly (infer T)[] ? T[] : KeyFilter[K];
};

function filterOf(terms: readonly FilterTerm[]): KeyFilter {
  const filter: Draft = { scopes: [], labels: [], createTime: {}, expireTime: {}, lastUsedTime: {} };
  const seen = new Set<string>();
  for (const term of terms) {
    const { field, operator, at } = term;
    const range = rangeFields[field];
    if (range === undefined && operator !== "=") throw new TermFault(at, `${field} takes = only`);
    if (field !== "scope") requireOnce(seen, term);
    if (range !== undefined) filter[range] = narrowedRange(filter[range], term);
    else addTerm(filter, term);
  }
  return filter;
}

const rangeFields: Readonly<Record<string, "createTime" | "expireTime" | "lastUsedTime" | undefined>> = {
  create_time: "createTime",
  expire_time: "expireTime",
  last_used_time: "lastUsedTime",
};

const statuses: readonly KeyStatus[] = ["ACTIVE", "DISABLED", "REVOKED", "EXPIRED"];

function addTerm(filter: Draft, { field, value, at, valueAt }: FilterTerm): void {
  const label = /^labels\.(.+)$/.exec(field)?.[1];
  if (label !== undefined) filter.labels.push([label, value]);
  else if (field === "owner_id") filter.ownerId = value;
  else if (field === "prefix") filter.prefix = value;
  else if (field === "scope") filter.scopes.push(value);
  else if (field === "name") filter.name = value.endsWith("*") ? { begins: value.slice(0, -1) } : { equals: value };
  else if (field === "status") filter.status = statusOf(value, valueAt);
  else throw new TermFault(at, "is no field to filter by");
}

function statusOf(value: string, at: number): KeyStatus {
  const status = statuses.find((name) => name === value);
  if (status === undefined) throw new TermFault(at, `expected one of ${statuses.join(", ")}`);
  return status;
}
