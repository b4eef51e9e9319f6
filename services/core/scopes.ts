import { isAudience } from "./audience.ts";

/** The grant that a root credential holds: every permission on Ichor itself. */
export const rootScope = "ichor:*";

const scopeLengthMax = 512;
const scopePattern = /^[A-Za-z0-9._~/@+-]{1,128}(?::[A-Za-z0-9._~/@+-]{1,128}){0,15}$/;
/** Before the audience in the permission to verify, and so to be given the audience key, for it. */
export const audienceScope = "ichor:verify:aud:";

/**
 * Whether the text is a scope that a request may require: 1–16 segments of `[A-Za-z0-9._~/@+-]{1,128}` joined by `:`,
 * no pattern, at most 512 characters. After `ichor:verify:aud:` stands one whole audience instead, which may hold
 * what segments may not, as `::` in an address.
 */
export function isScope(text: string): boolean {
  if (text.length > scopeLengthMax) return false;
  if (text.startsWith(audienceScope)) return isAudience(text.slice(audienceScope.length));
  return scopePattern.test(text);
}

/**
 * Whether the text may be granted: a scope, or one whose whole last segment is `*`, or `*` alone. The only pattern of
 * audiences is `ichor:verify:aud:*`.
 */
export function isGrant(text: string): boolean {
  if (text === "*" || isScope(text)) return true;
  if (!text.endsWith(":*")) return false;
  // With `x` for `*` the rest must be a scope; under an audience no narrower pattern exists than all of them.
  if (text.startsWith(audienceScope)) return text === `${audienceScope}*`;
  return isScope(`${text.slice(0, -1)}x`);
}

/** Whether the scope or grant is a permission on Ichor itself: its first segment is `ichor`. */
export function isReserved(scope: string): boolean {
  return scope === "ichor" || scope.startsWith("ichor:");
}

/**
 * Whether a grant covers a required scope: equal to it, or a pattern `a:*` and the scope has `a` and at least one more
 * segment, or `*` and the scope isn't reserved. So `ichor:*` covers reserved scopes and `*` doesn't.
 * Both must be valid.
 */
export function covers(grant: string, required: string): boolean {
  if (grant === "*") return !isReserved(required);
  if (!grant.endsWith(":*")) return grant === required;
  return required.length >= grant.length && required.startsWith(grant.slice(0, -1));
}

/** Whether each required scope is covered by one of the grants. */
export function coversAll(grants: readonly string[], required: readonly string[]): boolean {
  return required.every((scope) => coversOne(grants, scope));
}

/**
 * Whether a grant allows all that another one allows. Patterns are either nested or disjoint, so comparing the narrower
 * one's text as a scope decides: the `*` in it stands for every segment that could be there.
 */
export function grantCoversGrant(wider: string, narrower: string): boolean {
  return covers(wider, narrower);
}

/**
 * Gives those reserved grants of a key that none of the caller's grants covers. A caller for whom the list
 * isn't empty must not issue, widen, rotate, enable or revoke the key: it would gain or move permissions that it doesn't have.
 */
export function reservedScopesNotCovered(
  callerScopes: readonly string[],
  keyScopes: readonly string[],
): readonly string[] {
  return keyScopes.filter((scope) => isReserved(scope) && !coversOne(callerScopes, scope));
}

/**
 * Gives the grants that both lists allow, without duplicates: a scope is covered by the result if and only if each list
 * covers it. `narrowing` undefined narrows nothing; an empty one leaves nothing.
 */
export function intersectScopes(
  grants: readonly string[],
  narrowing: readonly string[] | undefined,
): readonly string[] {
  if (!narrowing) return grants;
  const both = new Set<string>();
  for (const grant of grants) {
    for (const other of narrowing) {
      if (grantCoversGrant(grant, other)) both.add(other);
      else if (grantCoversGrant(other, grant)) both.add(grant);
    }
  }
  return [...both];
}

function coversOne(grants: readonly string[], scope: string): boolean {
  for (const grant of grants) if (covers(grant, scope)) return true;
  return false;
}
