import type { KeyStatus } from "./api-key.ts";

// The filter of lists: a subset of AIP-160, terms joined by AND. Its grammar and meaning stand in the comment of
// ListApiKeysRequest.filter.

/** A time span without its ends, ms since the epoch. */
export interface TimeRange {
  readonly afterMs?: number;
  readonly beforeMs?: number;
}

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

/** The longest filter, in characters. */
export const filterLengthMax = 2048;
const termsMax = 16;

/** What is wrong with a filter, and where: `position` counts characters from 1. */
export interface FilterFault {
  readonly position: number;
  readonly description: string;
}

/** Parses a filter; empty text is the empty filter. Gives the first fault otherwise. */
export function parseKeyFilter(text: string): KeyFilter | FilterFault {
  try {
    return filterOf(termsOf(text));
  } catch (error) {
    if (error instanceof Fault) return { position: error.at + 1, description: error.message };
    throw error;
  }
}

/** Whether a parse ended with a fault. */
export function isFilterFault(parsed: KeyFilter | FilterFault): parsed is FilterFault {
  return "position" in parsed;
}

class Fault extends Error {
  readonly at: number;

  constructor(at: number, message: string) {
    super(message);
    this.at = at;
  }
}

interface Term {
  readonly field: string;
  readonly operator: string;
  readonly value: string;
  readonly at: number;
  readonly valueAt: number;
}

function termsOf(text: string): readonly Term[] {
  if (text.length > filterLengthMax)
    throw new Fault(filterLengthMax, `the filter has over ${filterLengthMax} characters`);
  const terms: Term[] = [];
  let at = skipBlanks(text, 0);
  while (at < text.length) {
    if (terms.length === termsMax) throw new Fault(at, `the filter has over ${termsMax} terms`);
    if (terms.length > 0) at = skipBlanks(text, expect(text, at, /AND(?=\s)/y, "AND").end);
    const start = at;
    const field = expect(text, at, /[a-z][a-z0-9_.-]*/y, "a field");
    const operator = expect(text, skipBlanks(text, field.end), /[=<>]/y, "=, < or >");
    const valueAt = skipBlanks(text, operator.end);
    const value = literalOf(text, valueAt);
    terms.push({ field: field.text, operator: operator.text, value: value.text, at: start, valueAt });
    at = skipBlanks(text, value.end);
  }
  return terms;
}

interface Token {
  readonly text: string;
  readonly end: number;
}

function expect(text: string, at: number, pattern: RegExp, what: string): Token {
  pattern.lastIndex = at;
  const found = pattern.exec(text);
  if (found === null) throw new Fault(at, `expected ${what}`);
  return { text: found[0], end: pattern.lastIndex };
}

/** A quoted value, with `\"` and `\\`, or a bare one. */
function literalOf(text: string, at: number): Token {
  if (text[at] !== '"') return expect(text, at, /[A-Za-z0-9_.:*~/@+-]+/y, "a value");
  const quoted = expect(text, at, /"(?:[^"\\]|\\["\\])*"/y, "a value that ends with a quote");
  return { text: quoted.text.slice(1, -1).replaceAll(/\\(["\\])/g, "$1"), end: quoted.end };
}

function skipBlanks(text: string, at: number): number {
  let end = at;
  while (/\s/.test(text[end] ?? "")) end++;
  return end;
}

type Draft = {
  -readonly [K in keyof KeyFilter]: KeyFilter[K] extends readonly (infer T)[] ? T[] : KeyFilter[K];
};

function filterOf(terms: readonly Term[]): KeyFilter {
  const filter: Draft = { scopes: [], labels: [], createTime: {}, expireTime: {}, lastUsedTime: {} };
  const seen = new Set<string>();
  for (const term of terms) {
    const { field, operator, at } = term;
    const range = rangeFields[field];
    if (range === undefined && operator !== "=") throw new Fault(at, `${field} takes = only`);
    const once = range === undefined ? field : `${field} ${operator}`;
    if (seen.has(once) && field !== "scope") throw new Fault(at, `${once} is there twice`);
    seen.add(once);
    if (range !== undefined) filter[range] = narrowed(filter[range], term);
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

function addTerm(filter: Draft, { field, value, at, valueAt }: Term): void {
  const label = /^labels\.(.+)$/.exec(field)?.[1];
  if (label !== undefined) filter.labels.push([label, value]);
  else if (field === "owner_id") filter.ownerId = value;
  else if (field === "prefix") filter.prefix = value;
  else if (field === "scope") filter.scopes.push(value);
  else if (field === "name") filter.name = value.endsWith("*") ? { begins: value.slice(0, -1) } : { equals: value };
  else if (field === "status") filter.status = statusOf(value, valueAt);
  else throw new Fault(at, "is no field to filter by");
}

function statusOf(value: string, at: number): KeyStatus {
  const status = statuses.find((name) => name === value);
  if (status === undefined) throw new Fault(at, `expected one of ${statuses.join(", ")}`);
  return status;
}

// RFC 3339 section 5.6; Date.parse alone takes much more.
const timePattern = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:\.\d{1,9})?(?:Z|[+-]\d{2}:\d{2})$/;

function narrowed(range: TimeRange, { field, operator, value, at, valueAt }: Term): TimeRange {
  if (operator === "=") throw new Fault(at, `${field} takes < or > only`);
  const timeMs = timePattern.test(value) ? Date.parse(value.replace(/(\.\d{3})\d+/, "$1")) : Number.NaN;
  if (Number.isNaN(timeMs)) throw new Fault(valueAt, "expected a time as 2026-01-01T00:00:00Z");
  return operator === "<" ? { ...range, beforeMs: timeMs } : { ...range, afterMs: timeMs };
}
