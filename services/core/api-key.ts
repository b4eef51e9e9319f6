import type { Constraints } from "./constraints.ts";
import type { KeyId, TenantId } from "./ids.ts";
import type { RateLimit } from "./rate-limit.ts";

/** State as stored; EXPIRED is a matter of the clock and never stored. */
export type KeyState = "ACTIVE" | "DISABLED" | "REVOKED";
/** State as told: REVOKED before EXPIRED before DISABLED. */
export type KeyStatus = KeyState | "EXPIRED";
export type KeyKind = "ISSUED_KEY" | "IMPORTED_KEY";
export type CredentialKind = KeyKind | "JWT" | "MACAROON";
export type Visibility = "SECRET" | "PUBLIC";
/** RFC 5280 section 5.3.1, as far as it makes sense for keys. */
export type RevocationReason =
  | "UNSPECIFIED"
  | "KEY_COMPROMISE"
  | "AFFILIATION_CHANGED"
  | "SUPERSEDED"
  | "CESSATION_OF_OPERATION"
  | "PRIVILEGE_WITHDRAWN";

/** JSON as callers store it with a key. */
export type JsonObject = { [name: string]: JsonValue };
export type JsonValue = null | boolean | number | string | JsonValue[] | JsonObject;

/** How often and when last a right secret was presented, as far as it was written: up to a minute behind. */
export interface Use {
  readonly lastTimeMs: number;
  readonly count: number;
}

/** One secret of a key: its digest, never the secret. */
export interface SecretVersion {
  /** 1 for the first, counted up by each rotation; the greatest is the current one. */
  readonly number: number;
  /** HMAC-SHA-256 under the pepper, 32 bytes; see digest.ts. */
  readonly digest: Uint8Array;
  /** Which pepper the digest is bound to. */
  readonly pepperId: string;
  readonly createTimeMs: number;
  /** When a superseded secret stops verifying; absent for the current one. */
  readonly graceEndTimeMs?: number;
  /** Absent: never used. */
  readonly use?: Use;
}

export interface Revocation {
  readonly reason: RevocationReason;
  readonly comment: string;
  readonly timeMs: number;
}

export type TokenFormat = "JWT" | "MACAROON";

/** What may be derived from a key, beyond what the key itself bounds. */
export interface DerivePolicy {
  readonly enabled: boolean;
  /** Empty: all. */
  readonly formats: readonly TokenFormat[];
  /** Absent: the tenant's. */
  readonly maxTtlSeconds?: number;
  /** Empty: any that the key allows. */
  readonly audiences: readonly string[];
  /** Names of claims that a holder may set. */
  readonly customClaims: readonly string[];
}

/** A long-lived credential as stored. Times in ms since the epoch. */
export interface ApiKey {
  readonly id: KeyId;
  readonly tenantId: TenantId;
  readonly name: string;
  readonly ownerId: string;
  readonly scopes: readonly string[];
  readonly metadata?: JsonObject;
  readonly labels: Readonly<Record<string, string>>;
  readonly state: KeyState;
  readonly visibility: Visibility;
  readonly kind: KeyKind;
  /** What the credential begins with; empty for an imported key. */
  readonly prefix: string;
  /** The time in the key's id, so that ids are in order of creation. */
  readonly createTimeMs: number;
  readonly updateTimeMs: number;
  /** Absent: the key never expires. */
  readonly expireTimeMs?: number;
  /** CIDR notation; empty: any network. */
  readonly allowedCidrs: readonly string[];
  readonly constraints: Constraints;
  /** Never empty; absent: none. */
  readonly rateLimits?: readonly RateLimit[];
  /** Absent: the default of its visibility; see derive-policy.ts. */
  readonly derivePolicy?: DerivePolicy;
  /** Tokens derived under a lower epoch are dead. */
  readonly tokenEpoch: number;
  readonly revocation?: Revocation;
  /** Live secrets and those in grace or past it, newest first; never empty. */
  readonly secretVersions: readonly SecretVersion[];
  /** Use by any of its secrets, and the client address of the last one, empty if unknown; absent: never used. */
  readonly use?: Use & { readonly lastAddress: string };
  /** The revision that changed the key last: its etag. */
  readonly revision: bigint;
}
