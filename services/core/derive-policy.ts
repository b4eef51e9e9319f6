import type { ApiKey, DerivePolicy, TokenFormat } from "./api-key.ts";
import { tokenLifeSecondsMax } from "./derived-token.ts";
import { IchorError } from "./errors.ts";
import { FieldViolations } from "./field-violations.ts";
import type { TenantSettings } from "./tenant.ts";

/** Gives the policy of a key: its own, or, without one, all formats and no custom claims for a SECRET key, nothing for a PUBLIC one. */
export function derivePolicyOf(key: Pick<ApiKey, "derivePolicy" | "visibility">): DerivePolicy {
  return key.derivePolicy ?? { enabled: key.visibility === "SECRET", formats: [], audiences: [], customClaims: [] };
}

/** What of a wanted token a policy decides on. */
export interface PolicyDemand {
  readonly format: TokenFormat;
  readonly audiences: readonly string[];
  /** Undefined: the default. */
  readonly ttlSeconds: number | undefined;
}

/**
 * Gives the life of a wanted token in seconds: what was asked for, or the tenant's default, bounded by policy, tenant
 * and the cap of 24 h. Throws DERIVATION_NOT_ALLOWED for a format, or anything, that the policy rules out, and
 * INVALID_FIELD for a longer life or another audience than it allows.
 */
export function permittedTtlSeconds(
  policy: DerivePolicy,
  demand: PolicyDemand,
  settings: Pick<TenantSettings, "tokenTtlSeconds" | "tokenTtlMaxSeconds">,
): number {
  const { formats, audiences, maxTtlSeconds = tokenLifeSecondsMax } = policy;
  if (!policy.enabled || (formats.length > 0 && !formats.includes(demand.format))) {
    throw new IchorError("DERIVATION_NOT_ALLOWED", "the key's derive policy doesn't allow this");
  }
  const longest = Math.min(maxTtlSeconds, settings.tokenTtlMaxSeconds, tokenLifeSecondsMax);
  const ttlSeconds = demand.ttlSeconds ?? Math.min(settings.tokenTtlSeconds, longest);
  const violations = new FieldViolations();
  violations.require(ttlSeconds >= 1 && ttlSeconds <= longest, "ttl", `must be 1 s to ${longest} s for this key`);
  demand.audiences.forEach((audience, i) => {
    const allowed = audiences.length === 0 || audiences.includes(audience);
    violations.require(allowed, `audiences[${i}]`, "is not one that the key's derive policy allows");
  });
  violations.throwIfAny();
  return ttlSeconds;
}
