import { isDeepStrictEqual } from "node:util";
import type { Constraints } from "../constraints.ts";
import { FieldViolations } from "../field-violations.ts";
import { readCaveat } from "./caveat.ts";

/**
 * Writes constraints as caveats, one a field and context name. Times are rounded to whole seconds towards the narrower
 * side. Throws INVALID_FIELD with the path below `constraints` for what no caveat can say: an empty list of audiences
 * or networks, a list that needs more than 1 KiB (scopes can't be split over caveats, which all must hold), a value
 * with control characters, a time beyond 12 digits.
 */
export function writeCaveats(constraints: Constraints): readonly string[] {
  const violations = new FieldViolations();
  const caveats = caveatsOf(constraints).map(({ field, text, says }) => {
    const bytes = Buffer.from(text);
    // Reading back catches all of these, and an item with a space in it, which would have become two items.
    violations.require(isDeepStrictEqual(readCaveat(bytes), says), field, "can't be said in one caveat of a macaroon");
    return text;
  });
  violations.throwIfAny();
  return caveats;
}

interface Draft {
  readonly field: string;
  readonly text: string;
  /** What the text must mean. */
  readonly says: Constraints;
}

function caveatsOf(constraints: Constraints): readonly Draft[] {
  const { expireTimeMs, notBeforeMs, scopes, audiences, cidrs, contextEquals = {}, contextPrefixes = {} } = constraints;
  const drafts: Draft[] = [];
  if (expireTimeMs !== undefined) {
    const seconds = Math.floor(expireTimeMs / 1000);
    drafts.push({ field: "expire_time", text: `exp < ${seconds}`, says: { expireTimeMs: seconds * 1000 } });
  }
  if (notBeforeMs !== undefined) {
    const seconds = Math.ceil(notBeforeMs / 1000);
    drafts.push({ field: "not_before", text: `nbf >= ${seconds}`, says: { notBeforeMs: seconds * 1000 } });
  }
  if (scopes) drafts.push({ field: "scopes", text: `scope = ${scopes.join(" ")}`, says: { scopes } });
  if (audiences) drafts.push({ field: "audiences", text: `aud = ${audiences.join(" ")}`, says: { audiences } });
  if (cidrs) drafts.push({ field: "cidrs", text: `cidr = ${cidrs.join(" ")}`, says: { cidrs } });
  for (const [name, value] of Object.entries(contextEquals)) {
    const says = { contextEquals: { [name]: value } };
    drafts.push({ field: `context_equals.${name}`, text: `ctx.${name} = ${value}`, says });
  }
  for (const [name, value] of Object.entries(contextPrefixes)) {
    const says = { contextPrefixes: { [name]: value } };
    drafts.push({ field: `context_prefixes.${name}`, text: `ctx.${name} ^= ${value}`, says });
  }
  return drafts;
}
