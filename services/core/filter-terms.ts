// The filters of lists: a subset of AIP-160, terms joined by AND. Grammar and meaning stand in the comments of the
// requests' `filter`.

/** A time span without its ends, ms since the epoch. */
export interface TimeRange {
  readonly afterMs?: number;
  readonly beforeMs?: number;
}

/** The longest filter, in characters. */
export const filterLengthMax = 2048;
const termsMax = 16;

/** What is wrong with a filter, and where: `position` counts characters from 1. */
export interface FilterFault {
  readonly position: number;
  readonly description: string;
}

/** Parses a filter's terms and gives what `read` makes of them, or the first fault. `read` throws TermFault. */
export function parsedFilter<F>(text: string, read: (terms: readonly FilterTerm[]) => F): F | FilterFault {
  try {
    return read(termsOf(text));
  } catch (error) {
    if (error instanceof TermFault) return { position: error.at + 1, description: error.message };
    throw error;
  }
}

/** Whether a parse ended with a fault. */
export function isFilterFault(parsed: object): parsed is FilterFault {
  return "position" in parsed;
}

/** Throws unless this is the first term of its field and, for `<` and `>`, of its operator; notes it in `seen`. */
export function requireOnce(seen: Set<string>, { field, operator, at }: FilterTerm): void {
  const once = operator === "=" ? field : `${field} ${operator}`;
  if (seen.has(once)) throw new TermFault(at, `${once} is there twice`);
  seen.add(once);
}

/** Thrown by what reads terms; `parsedFilter` gives it as a FilterFault. */
export class TermFault extends Error {
  readonly at: number;

  constructor(at: number, message: string) {
    super(message);
    this.at = at;
  }
}

/** One term of a filter, with the places of its beginning and of its value. */
export interface FilterTerm {
  readonly field: string;
  readonly operator: string;
  readonly value: string;
  readonly at: number;
  readonly valueAt: number;
}

function termsOf(text: string): readonly FilterTerm[] {
  if (text.length > filterLengthMax)
    throw new TermFault(filterLengthMax, `the filter has over ${filterLengthMax} characters`);
  const terms: FilterTerm[] = [];
  let at = skipBlanks(text, 0);
  while (at < text.length) {
    if (terms.length === termsMax) throw new TermFault(at, `the filter has over ${termsMax} terms`);
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
  if (found === null) throw new TermFault(at, `expected ${what}`);
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

// RFC 3339 section 5.6; Date.parse alone takes much more.
const timePattern = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:\.\d{1,9})?(?:Z|[+-]\d{2}:\d{2})$/;

/** The range with one end more. */
export function narrowedRange(range: TimeRange, { field, operator, value, at, valueAt }: FilterTerm): TimeRange {
  if (operator === "=") throw new TermFault(at, `${field} takes < or > only`);
  const timeMs = timePattern.test(value) ? Date.parse(value.replace(/(\.\d{3})\d+/, "$1")) : Number.NaN;
  if (Number.isNaN(timeMs)) throw new TermFault(valueAt, "expected a time as 2026-01-01T00:00:00Z");
  return operator === "<" ? { ...range, beforeMs: timeMs } : { ...range, afterMs: timeMs };
}
