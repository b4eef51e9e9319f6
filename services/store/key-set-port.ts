import type { Head } from "../core/change.ts";
import type { TenantId } from "../core/ids.ts";
import type { SigningKey } from "../core/signing-key.ts";
import type { Tenant } from "../core/tenant.ts";

/** All that a tenant's public key set is made of, of one moment. */
export interface KeySetRecord {
  /** Where the log stood at that moment. */
  readonly head: Head;
  readonly tenant: Tenant;
  /** Ids of the keys that have a mark, 16 bytes each, one after the other. */
  readonly markedKeys: Uint8Array;
  /** Their marks as numbers (core/key-set/key-mark.ts). */
  readonly marks: readonly number[];
  /** Ids of the tokens that were revoked by themselves, likewise. */
  readonly revokedTokens: Uint8Array;
  readonly signingKeys: readonly SigningKey[];
}

/** What the key-set stream needs of the store, outside of mutating transactions. */
export interface KeySetStore {
  /** Reads a tenant's public key set in one consistent read; undefined if there is no such tenant. */
  loadKeySet(tenantId: TenantId): Promise<KeySetRecord | undefined>;
  /**
   * Erases the payloads of the oldest entries of the log, as long as they were committed before `beforeMs`, at most
   * `limit`, never the newest entry's, and notes up to where, all in one transaction. Gives how many; 0 also if another
   * server was faster.
   */
  compactChanges(beforeMs: number, limit: number): Promise<number>;
  /** Up to which revision payloads are gone. */
  compactedThrough(): Promise<bigint>;
}
