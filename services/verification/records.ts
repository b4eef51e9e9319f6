import type { ApiKey } from "../core/api-key.ts";
import type { PresentedImportedKey, PresentedIssuedKey } from "../core/credential.ts";
import { importedDigest, type Peppers } from "../core/digest.ts";
import { IchorError } from "../core/errors.ts";
import type { KeyId, TenantId } from "../core/ids.ts";
import type { Tenant } from "../core/tenant.ts";

/** A record as it is known here. */
export interface Known<T> {
  /** undefined: there is none. */
  readonly value: T | undefined;
  /** How long ago it was certain, in ms. */
  readonly ageMs: number;
}

/** What a verification looks up. Every answer knows all changes up to the `Freshness.revision` that was seen before it was asked. */
export interface KeyRecords {
  /**
   * `noCache`: the store is asked, whatever is known. `together`: by one read for all who ask in this turn of the event
   * loop. Rejects with STORE_UNAVAILABLE if it must be asked and can't.
   */
  key(id: KeyId, noCache: boolean, together?: boolean): Promise<Known<ApiKey>>;
  /** The key of the tenant that has a secret with one of these digests, as `key`. */
  keyOfDigests(
    tenantId: TenantId,
    digests: readonly Uint8Array[],
    noCache: boolean,
    together?: boolean,
  ): Promise<Known<ApiKey>>;
  tenant(id: TenantId, noCache: boolean): Promise<Known<Tenant>>;
  /** What `key` would tell, if it is at hand. */
  knownKey(id: KeyId): Known<ApiKey> | undefined;
  /** What `tenant` would tell, if it is at hand. */
  knownTenant(id: TenantId): Known<Tenant> | undefined;
}

/** Where the store's log stands, as this process knows. */
export interface Freshness {
  /** The revision up to which every change is known here. */
  readonly revision: bigint;
  /** Resolves once `revision` is known here; rejects with the signal's reason when it aborts. */
  reached(revision: bigint, signal: AbortSignal): Promise<void>;
}

/**
 * Finds the key that a presented one may be: an issued key by its id, an imported one in the tenant under every live
 * pepper. Throws SECRET_NOT_LOADED if an imported key isn't found and could be bound to a pepper that isn't loaded.
 */
export async function findPresentedKey(
  records: KeyRecords,
  presented: PresentedIssuedKey | PresentedImportedKey,
  tenantId: TenantId,
  peppers: Peppers,
  noCache: boolean,
  together: boolean,
): Promise<Known<ApiKey>> {
  if (presented.kind === "ISSUED_KEY") return records.key(presented.keyId, noCache, together);
  const digests = peppers.live().map((pepper) => importedDigest(pepper, tenantId, presented.rawSha256));
  const found = await records.keyOfDigests(tenantId, digests, noCache, together);
  if (found.value === undefined && peppers.someSealed()) {
    throw new IchorError("SECRET_NOT_LOADED", "a pepper that the key may be bound to is not loaded");
  }
  return found;
}
