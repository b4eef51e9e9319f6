import { IchorError } from "../core/errors.ts";
import type { FieldViolations } from "../core/field-violations.ts";
import type { AnswerSealer } from "../mutation/idempotency.ts";

const pageSizeMax = 1000;
const tokenLengthMax = 4096;

/** The `page_size` of a request: `fallback` if it is 0. Notes violations. */
export function parsePageSize(violations: FieldViolations, pageSize: number, fallback: number): number {
  violations.require(pageSize >= 0 && pageSize <= pageSizeMax, "page_size", `must be 1 to ${pageSizeMax}`);
  return pageSize || fallback;
}

/**
 * Seals where a list goes on, so that nobody can make or alter a page token. `place` is the list, with all that must be
 * the same on each page: tenant, filter, order.
 */
export function sealPageToken(sealer: AnswerSealer, place: readonly string[], at: unknown): string {
  return Buffer.from(sealer.seal(JSON.stringify(place), Buffer.from(JSON.stringify(at)))).toString("base64url");
}

/** Gives what `sealPageToken` was given for this place; empty: undefined. Notes violations. */
export function openPageToken<T>(
  violations: FieldViolations,
  sealer: AnswerSealer,
  place: readonly string[],
  pageToken: string,
): T | undefined {
  if (pageToken === "") return undefined;
  try {
    const bytes = Buffer.from(pageToken.slice(0, tokenLengthMax), "base64url");
    return JSON.parse(Buffer.from(sealer.open(JSON.stringify(place), bytes)).toString("utf8"));
  } catch (error) {
    if (!(error instanceof IchorError)) throw error;
    violations.add("page_token", "is not one of this list with this filter and order");
    return undefined;
  }
}
