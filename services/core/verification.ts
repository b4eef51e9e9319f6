import type { ApiKey, SecretVersion } from "./api-key.ts";
import { type ConstraintCode, type Constraints, constraintFailure } from "./constraints.ts";
import type { PresentedImportedKey, PresentedIssuedKey } from "./credential.ts";
import type { Demand } from "./demand.ts";
import { digestsEqual, importedDigest, issuedDigest, type Pepper, type Peppers } from "./digest.ts";
import { IchorError } from "./errors.ts";
import type { TenantId } from "./ids.ts";
import { versionLive } from "./key-life.ts";
import { intersect } from "./narrower.ts";
import { intersectScopes } from "./scopes.ts";
import type { Tenant } from "./tenant.ts";
import { earlierCode, type VerificationCode } from "./verification-code.ts";

// Verify, then clear. `authenticateKey`: are these bytes a secret of this key? `clearKey`: does the key allow this
// request? Nothing about a key is told to who fails the first.

/** A key whose right secret was presented, and which secret it was; or the one answer to everything else. */
export type Authentication =
  | { readonly authentic: true; readonly key: ApiKey; readonly version: SecretVersion }
  | { readonly authentic: false; readonly code: "NOT_FOUND" };

const notFound: Authentication = { authentic: false, code: "NOT_FOUND" };

/**
 * Says whether a presented key is the stored one. `key` is what the id (issued) or the digest (imported) finds in the
 * store, `tenantId` the tenant that is verified for.
 *
 * NOT_FOUND for an unknown id, a wrong secret, another prefix and another tenant alike; an unknown id costs a digest as
 * a wrong secret does, and digests are compared in constant time, so that time tells no more than the answer.
 * Throws SECRET_NOT_LOADED if the secret might be right and the pepper to tell is missing: "don't know" is never "no".
 */
export function authenticateKey(
  presented: PresentedIssuedKey | PresentedImportedKey,
  key: ApiKey | undefined,
  tenantId: TenantId,
  peppers: Peppers,
): Authentication {
  if (!key || key.tenantId !== tenantId || !couldBe(presented, key)) {
    presentedDigest(presented, tenantId, peppers.current());
    return notFound;
  }
  const version = matchingVersion(presented, key, peppers);
  return version ? { authentic: true, key, version } : notFound;
}

/** What `clearKey` decides on. */
export interface Clearance {
  /** Authentic, from `authenticateKey`. */
  readonly key: ApiKey;
  /** The secret that was presented. */
  readonly version: SecretVersion;
  /** The key's tenant. */
  readonly tenant: Pick<Tenant, "state">;
  readonly demand: Demand;
  /** ms since the epoch. */
  readonly nowMs: number;
}

/**
 * Says whether an authentic key allows a request: the first failure in the order of `verificationCodes`, or VALID. Rate
 * limits come after, in `verification/`, since a refused request must not consume any.
 */
export function clearKey({ key, version, tenant, demand, nowMs }: Clearance): VerificationCode {
  if (key.state === "REVOKED" || !versionLive(version, nowMs)) return "REVOKED";
  if (key.state === "DISABLED" || tenant.state === "DISABLED") return "DISABLED";
  return keyFailure(key, demand, nowMs) ?? "VALID";
}

/** Gives the first reason why a key that is neither revoked nor disabled doesn't allow a request. */
export function keyFailure(key: ApiKey, demand: Demand, nowMs: number): ConstraintCode | undefined {
  return earlierCode(
    constraintFailure(limitsOf(key), demand, nowMs),
    constraintFailure(key.constraints, demand, nowMs),
  );
}

/** Gives all that bounds what is derived from a key by one of its secrets. */
export function keyBounds(
  key: ApiKey,
  version: Pick<SecretVersion, "graceEndTimeMs"> | undefined,
): Constraints & Required<Pick<Constraints, "scopes">> {
  const end = version?.graceEndTimeMs;
  const bounds = intersect(limitsOf(key), key.constraints);
  const all = end === undefined ? bounds : intersect(bounds, { expireTimeMs: end });
  return { ...all, scopes: all.scopes ?? [] };
}

/** Gives the scopes that a key really has: those granted, as far as its constraints leave them. */
export function effectiveScopes(key: Pick<ApiKey, "scopes" | "constraints">): readonly string[] {
  return intersectScopes(key.scopes, key.constraints.scopes);
}

/** Gives when a presented secret stops verifying by itself, in ms since the epoch; undefined: never. */
export function credentialEndMs(
  key: Pick<ApiKey, "expireTimeMs" | "constraints">,
  version: Pick<SecretVersion, "graceEndTimeMs">,
): number | undefined {
  const never = Number.POSITIVE_INFINITY;
  const end = Math.min(
    key.expireTimeMs ?? never,
    key.constraints.expireTimeMs ?? never,
    version.graceEndTimeMs ?? never,
  );
  return end === never ? undefined : end;
}

/** What the key's own fields demand, in the one model that checks them. */
function limitsOf(key: ApiKey): Constraints {
  return {
    scopes: key.scopes,
    ...(key.expireTimeMs !== undefined && { expireTimeMs: key.expireTimeMs }),
    ...(key.allowedCidrs.length > 0 && { cidrs: key.allowedCidrs }),
  };
}

function couldBe(presented: PresentedIssuedKey | PresentedImportedKey, key: ApiKey): boolean {
  if (presented.kind === "IMPORTED_KEY") return key.kind === "IMPORTED_KEY";
  return key.kind === "ISSUED_KEY" && presented.keyId === key.id && presented.prefix === key.prefix;
}

/** Tries every secret under the peppers at hand before it gives up on one that isn't. */
function matchingVersion(
  presented: PresentedIssuedKey | PresentedImportedKey,
  key: ApiKey,
  peppers: Peppers,
): SecretVersion | undefined {
  const digests = new Map<string, Uint8Array>();
  let unknown = false;
  for (const version of key.secretVersions) {
    const pepper = peppers.get(version.pepperId);
    if (!pepper) {
      unknown = true;
      continue;
    }
    const digest = digests.get(pepper.id) ?? presentedDigest(presented, key.tenantId, pepper);
    digests.set(pepper.id, digest);
    if (digestsEqual(digest, version.digest)) return version;
  }
  if (unknown) throw new IchorError("SECRET_NOT_LOADED", "a secret that the answer needs is not loaded");
  return undefined;
}

/** Gives the digest of a presented secret under a pepper, 32 bytes; see digest.ts. */
export function presentedDigest(
  presented: PresentedIssuedKey | PresentedImportedKey,
  tenantId: TenantId,
  pepper: Pepper,
): Uint8Array {
  return presented.kind === "ISSUED_KEY"
    ? issuedDigest(pepper, tenantId, presented.keyId, presented.secret)
    : importedDigest(pepper, tenantId, presented.rawSha256);
}
