import type { ApiKey, DerivePolicy } from "./api-key.ts";
import { keyDigest } from "./change-chain.ts";
import { derivePolicyOf } from "./derive-policy.ts";
import { isNarrower } from "./narrower.ts";
import { mustCount } from "./rate-limit.ts";
import { keyBounds } from "./verification.ts";

/** The fields of a key that can change. */
export type KeyFields = Pick<
  ApiKey,
  | "name"
  | "scopes"
  | "metadata"
  | "labels"
  | "allowedCidrs"
  | "constraints"
  | "rateLimits"
  | "expireTimeMs"
  | "derivePolicy"
>;

/** New values, undefined for a field that is to be absent; fields that aren't in it stay. */
export type KeyChanges = { readonly [K in keyof KeyFields]?: KeyFields[K] | undefined };

/**
 * Changes a key. If it allows less than before, what was derived from it may allow more than its parent: then the token
 * epoch rises, unless `keepDerived`. Gives the same object if nothing changes.
 */
export function updateKey(
  key: ApiKey,
  changes: KeyChanges,
  { keepDerived, nowMs }: { readonly keepDerived: boolean; readonly nowMs: number },
): ApiKey {
  const fields = Object.entries({ ...key, ...changes }).filter(([, value]) => value !== undefined);
  const changed = Object.fromEntries(fields) as unknown as ApiKey;
  if (Buffer.compare(keyDigest(changed), keyDigest(key)) === 0) return key;
  const raise = !keepDerived && allowsLess(key, changed);
  return { ...changed, tokenEpoch: key.tokenEpoch + (raise ? 1 : 0), updateTimeMs: nowMs };
}

function allowsLess(before: ApiKey, after: ApiKey): boolean {
  const boundsKept = isNarrower(keyBounds(before, undefined), keyBounds(after, undefined));
  const mustCountNow = mustCount(after.rateLimits) && !mustCount(before.rateLimits);
  return !boundsKept || mustCountNow || !policyKept(derivePolicyOf(before), derivePolicyOf(after));
}

/** Whether all that could be derived under one policy could be under the other. An empty list of formats or audiences is any. */
function policyKept(before: DerivePolicy, after: DerivePolicy): boolean {
  const anyOf = (inner: readonly string[], outer: readonly string[]) =>
    outer.length === 0 || (inner.length > 0 && inner.every((item) => outer.includes(item)));
  const never = Number.POSITIVE_INFINITY;
  return (
    !before.enabled ||
    (after.enabled &&
      anyOf(before.formats, after.formats) &&
      anyOf(before.audiences, after.audiences) &&
      before.customClaims.every((claim) => after.customClaims.includes(claim)) &&
      (before.maxTtlSeconds ?? never) <= (after.maxTtlSeconds ?? never))
  );
}
