import type { TenantId } from "./ids.ts";
import type { JwtAlgorithm } from "./jwt/algorithms.ts";

/** Suspended tenants keep their keys; nothing of them verifies. */
export type TenantState = "ACTIVE" | "DISABLED";

/** What a tenant decides for itself. Spans in seconds. */
export interface TenantSettings {
  /** What new SECRET keys may begin with; the first is the default. Never empty. */
  readonly secretPrefixes: readonly string[];
  /** What new PUBLIC keys may begin with; the first is the default. Never empty. */
  readonly publicPrefixes: readonly string[];
  /** Prefixes that no new key gets, and that still verify. */
  readonly retiredPrefixes: readonly string[];
  /** What new macaroons begin with. */
  readonly macaroonPrefix: string;
  /** Macaroon prefixes that still verify. */
  readonly retiredMacaroonPrefixes: readonly string[];
  /** Life of a key that names none, and the longest life if "never" isn't allowed. */
  readonly keyTtlSeconds: number;
  /** Whether a key may live for ever. */
  readonly neverExpiresAllowed: boolean;
  /** Fewest bytes of a key that is imported raw, 1 to 16. */
  readonly importedKeyBytesMin: number;
  /** How many keys there may be, whatever their status, in all and of one owner; absent: any number. */
  readonly keysMax?: number;
  readonly keysPerOwnerMax?: number;
  /** After how many days revoked and expired keys are deleted; absent: never. */
  readonly deadKeyRetentionDays?: number;
  /** Life of a derived token that names none. */
  readonly tokenTtlSeconds: number;
  /** Longest life of a derived token, at most 24 h. */
  readonly tokenTtlMaxSeconds: number;
  /** Algorithm of new signing keys. */
  readonly signingAlgorithm: JwtAlgorithm;
  /** How long a signing key signs before the next takes its place. */
  readonly signingKeyPeriodSeconds: number;
  /** Whether keys may rotate themselves. */
  readonly selfRotationAllowed: boolean;
}

/** The isolation boundary, and the issuer of its tokens. */
export interface Tenant {
  readonly id: TenantId;
  /** `[a-z][a-z0-9-]{0,62}`, unique; `default` exists from the start. */
  readonly slug: string;
  readonly name: string;
  readonly state: TenantState;
  readonly settings: TenantSettings;
  readonly createTimeMs: number;
  readonly updateTimeMs: number;
  /** Tokens issued before, in ms since the epoch, are dead; absent: none. */
  readonly tokensIssuedBeforeMs?: number;
}

const daySeconds = 86_400;

/** Slug of the tenant that exists from the start and holds the root credentials. */
export const defaultTenantSlug = "default";

/** Settings of tenant `default` at the first start, and of a new tenant that names none. */
export const defaultTenantSettings: TenantSettings = {
  secretPrefixes: ["ichor_sk"],
  publicPrefixes: ["ichor_pk"],
  retiredPrefixes: [],
  macaroonPrefix: "ichor_mc",
  retiredMacaroonPrefixes: [],
  keyTtlSeconds: 365 * daySeconds,
  neverExpiresAllowed: true,
  importedKeyBytesMin: 16,
  tokenTtlSeconds: 15 * 60,
  tokenTtlMaxSeconds: daySeconds,
  signingAlgorithm: "EdDSA",
  signingKeyPeriodSeconds: 30 * daySeconds,
  selfRotationAllowed: true,
};

const slugPattern = /^[a-z][a-z0-9-]{0,62}$/;

/** Whether the text may be a tenant's slug: `[a-z][a-z0-9-]{0,62}`. A slug is never a tenant id, which has a `_`. */
export function isTenantSlug(text: string): boolean {
  return slugPattern.test(text);
}

/** Gives the issuer of a tenant's tokens (RFC 8414): the base URL for tenant `default`, `<base>/t/<tenant id>` for another. */
export function issuerOf(baseUrl: string, tenant: Pick<Tenant, "id" | "slug">): string {
  return tenant.slug === defaultTenantSlug ? baseUrl : `${baseUrl}/t/${tenant.id}`;
}
