import type { AudienceGeneration } from "../core/audience-generation.ts";
import type { TokenRevocation } from "../core/change.ts";
import type { KeyId, TenantId, TokenId } from "../core/ids.ts";
import type { SigningKey } from "../core/signing-key.ts";

/** Reads of what derived tokens need: of committed state, or within a transaction of its own writes. */
export interface TokenReads {
  /** Every signing key of a tenant, the newest first. */
  listSigningKeys(tenantId: TenantId): Promise<readonly SigningKey[]>;
  /** Signing keys whose `dueTimeMs` isn't after `nowMs`, the longest overdue first. */
  dueSigningKeys(nowMs: number, limit: number): Promise<readonly SigningKey[]>;
  /** Tenants that have no signing key at all. */
  tenantsWithoutSigningKey(limit: number): Promise<readonly TenantId[]>;
  /** Stored generations of a tenant's audiences; none of one that was never rotated. */
  listAudienceGenerations(tenantId: TenantId): Promise<readonly AudienceGeneration[]>;
  /** Revocations of a tenant's single tokens that must be remembered at `nowMs`. */
  listTokenRevocations(tenantId: TenantId, nowMs: number): Promise<readonly TokenRevocation[]>;
  /** How many of them are of this key. */
  countTokenRevocations(tenantId: TenantId, keyId: KeyId, nowMs: number): Promise<number>;
  isTokenRevoked(tenantId: TenantId, keyId: KeyId, tokenId: TokenId): Promise<boolean>;
  /** Revocations of any tenant that needn't be remembered any more. */
  forgettableTokens(nowMs: number, limit: number): Promise<readonly (TokenRevocation & { tenantId: TenantId })[]>;
}

/** Writes within a mutating transaction. */
export interface TokenWrites extends TokenReads {
  /** Inserts a signing key, or takes the place of the one with its id. */
  putSigningKey(key: SigningKey): Promise<void>;
  /** Takes the place of all generations of the audience. */
  putAudienceGenerations(
    tenantId: TenantId,
    audience: string,
    generations: readonly AudienceGeneration[],
  ): Promise<void>;
  insertTokenRevocation(tenantId: TenantId, revocation: TokenRevocation): Promise<void>;
  deleteTokenRevocations(tenantId: TenantId, tokens: readonly TokenRevocation[]): Promise<void>;
}
