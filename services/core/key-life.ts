import type { ApiKey, KeyStatus, Revocation, SecretVersion } from "./api-key.ts";
import { IchorError } from "./errors.ts";
import { rootScope } from "./scopes.ts";

// What may happen to a key. Each transition gives a new key or throws; one that changes nothing gives the same object,
// so that callers can tell. `revision` is left to the caller, who alone knows it.

/** The most secrets of one key that verify at the same time. */
export const liveVersionsMax = 10;

/** Gives the status at `nowMs`: REVOKED before EXPIRED before DISABLED. */
export function keyStatus(key: Pick<ApiKey, "state" | "expireTimeMs">, nowMs: number): KeyStatus {
  if (key.state === "REVOKED") return "REVOKED";
  return key.expireTimeMs !== undefined && nowMs >= key.expireTimeMs ? "EXPIRED" : key.state;
}

/** Gives the newest secret of a key. */
export function currentVersion(key: Pick<ApiKey, "secretVersions">): SecretVersion {
  const [newest] = key.secretVersions;
  if (!newest) throw new TypeError("a key has at least one secret version");
  return newest;
}

/** Whether a secret still verifies at `nowMs`: the newest one, or an older one before its grace end. */
export function versionLive(version: SecretVersion, nowMs: number): boolean {
  return version.graceEndTimeMs === undefined || nowMs < version.graceEndTimeMs;
}

/** Gives the secrets that still verify at `nowMs`, newest first. */
export function liveVersions(key: Pick<ApiKey, "secretVersions">, nowMs: number): readonly SecretVersion[] {
  return key.secretVersions.filter((version) => versionLive(version, nowMs));
}

export interface Rotation {
  /** Digest of the new secret, 32 bytes; see digest.ts. */
  readonly digest: Uint8Array;
  /** The pepper that the digest is bound to. */
  readonly pepperId: string;
  readonly nowMs: number;
  /** How long older secrets still verify, in ms; 0: not at all. The caller bounds it. */
  readonly gracePeriodMs: number;
  /** Whether tokens derived before end now. */
  readonly revokeDerived: boolean;
}

/**
 * Adds a secret. Older ones end with the grace period, with the key, or when they were to end anyway, whichever is
 * first. Those that had ended before are dropped; one that ends with this rotation stays until the next, so that who
 * presents it is told REVOKED.
 * Reasons: KEY_REVOKED, KEY_EXPIRED, KEY_KIND_NOT_ALLOWED (imported), TOO_MANY_SECRET_VERSIONS (more than 10 live).
 */
export function rotateKey(key: ApiKey, rotation: Rotation): ApiKey {
  const { digest, pepperId, nowMs, gracePeriodMs, revokeDerived } = rotation;
  if (!Number.isSafeInteger(gracePeriodMs) || gracePeriodMs < 0) throw new TypeError("grace period out of range");
  requireNotRevoked(key);
  if (keyStatus(key, nowMs) === "EXPIRED") throw new IchorError("KEY_EXPIRED", "the key has expired");
  if (key.kind !== "ISSUED_KEY") throw new IchorError("KEY_KIND_NOT_ALLOWED", "only issued keys can be rotated");
  const graceEndMs = Math.min(nowMs + gracePeriodMs, key.expireTimeMs ?? Number.POSITIVE_INFINITY);
  const newest: SecretVersion = { number: currentVersion(key).number + 1, digest, pepperId, createTimeMs: nowMs };
  const older = liveVersions(key, nowMs);
  // JWTs don't tell which secret they were derived with: what shortens the grace of one must end them all.
  const shortens = older.some(
    ({ graceEndTimeMs = Number.POSITIVE_INFINITY }, i) => i > 0 && graceEndMs < graceEndTimeMs,
  );
  const rotated: ApiKey = {
    ...key,
    secretVersions: [newest, ...older.map((version) => endingBy(version, graceEndMs))],
    tokenEpoch: key.tokenEpoch + (revokeDerived || shortens ? 1 : 0),
    updateTimeMs: nowMs,
  };
  if (liveVersions(rotated, nowMs).length > liveVersionsMax) {
    throw new IchorError("TOO_MANY_SECRET_VERSIONS", "too many live secrets; end a grace period first");
  }
  return rotated;
}

/** Ends the grace of every older secret at `nowMs`, and all tokens that were derived before. Reasons: KEY_REVOKED. */
export function endGrace(key: ApiKey, nowMs: number): ApiKey {
  requireNotRevoked(key);
  if (liveVersions(key, nowMs).length <= 1) return key;
  const [newest, ...older] = key.secretVersions;
  const secretVersions = [newest as SecretVersion, ...older.map((version) => endingBy(version, nowMs))];
  return { ...revokeDerivedTokens(key, nowMs), secretVersions };
}

/** Ends every token that was derived so far. Reasons: KEY_REVOKED. */
export function revokeDerivedTokens(key: ApiKey, nowMs: number): ApiKey {
  requireNotRevoked(key);
  return { ...key, tokenEpoch: key.tokenEpoch + 1, updateTimeMs: nowMs };
}

/** Suspends a key. Reasons: KEY_REVOKED. The caller makes sure that it isn't the last live root credential. */
export function disableKey(key: ApiKey, nowMs: number): ApiKey {
  requireNotRevoked(key);
  return key.state === "DISABLED" ? key : { ...key, state: "DISABLED", updateTimeMs: nowMs };
}

/** Resumes a suspended key. Reasons: KEY_REVOKED. */
export function enableKey(key: ApiKey, nowMs: number): ApiKey {
  requireNotRevoked(key);
  return key.state === "ACTIVE" ? key : { ...key, state: "ACTIVE", updateTimeMs: nowMs };
}

/**
 * Ends a key for ever. A revoked key stays as it is: the first reason counts.
 * The caller makes sure that it isn't the last live root credential.
 */
export function revokeKey(key: ApiKey, revocation: Revocation): ApiKey {
  if (key.state === "REVOKED") return key;
  return { ...key, state: "REVOKED", revocation, updateTimeMs: revocation.timeMs };
}

/** Throws KEY_STILL_LIVE unless the key is revoked or expired at `nowMs`. */
export function requireDeletable(key: ApiKey, nowMs: number): void {
  const status = keyStatus(key, nowMs);
  if (status === "REVOKED" || status === "EXPIRED") return;
  throw new IchorError("KEY_STILL_LIVE", "the key is neither revoked nor expired");
}

/** Whether a key that is deleted leaves a tombstone: its credential is known elsewhere and was revoked. */
export function leavesTombstone(key: Pick<ApiKey, "kind" | "state">): boolean {
  return key.kind === "IMPORTED_KEY" && key.state === "REVOKED";
}

/**
 * Whether the key holds every permission on Ichor, whatever the request: its scopes list `ichor:*` literally, and
 * neither networks nor a constraint narrow it. It is a root credential only in tenant `default`, which the caller checks.
 */
export function isRootKey(key: Pick<ApiKey, "scopes" | "allowedCidrs" | "constraints">): boolean {
  const unbound = key.allowedCidrs.length === 0 && Object.keys(key.constraints).length === 0;
  return unbound && key.scopes.includes(rootScope);
}

/**
 * Whether a key may hold reserved scopes: only one whose secret Ichor made and only the holder sees. A PUBLIC key is
 * read by anybody, and the secret of an imported one is known elsewhere.
 */
export function mayHoldReservedScopes(key: Pick<ApiKey, "kind" | "visibility">): boolean {
  return key.kind === "ISSUED_KEY" && key.visibility === "SECRET";
}

/** Throws KEY_REVOKED if the key is. */
export function requireNotRevoked(key: ApiKey): void {
  if (key.state === "REVOKED") throw new IchorError("KEY_REVOKED", "the key is revoked");
}

function endingBy(version: SecretVersion, endMs: number): SecretVersion {
  return { ...version, graceEndTimeMs: Math.min(version.graceEndTimeMs ?? endMs, endMs) };
}
