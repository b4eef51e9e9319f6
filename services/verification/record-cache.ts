import type { TailEvent } from "../changes/tail.ts";
import type { ApiKey } from "../core/api-key.ts";
import { getOrMake } from "../core/get-or-make.ts";
import type { KeyId, TenantId } from "../core/ids.ts";
import type { Tenant } from "../core/tenant.ts";
import type { StoreReads } from "../store/port.ts";
import { CoherentCache, type Followed } from "./coherent-cache.ts";
import { gathered } from "./gathered-reads.ts";
import type { KeyRecords, Known } from "./records.ts";

/** Memory for key records, in bytes as estimated: some 50 000 keys. */
export const keyCacheBytesMax = 64 * 1024 * 1024;
/** Memory for tenants. */
export const tenantCacheBytesMax = 4 * 1024 * 1024;
/** How many ids that name nothing are remembered, of each kind. */
export const absentIdsMax = 10_000;
/** Memory for which key has which imported credential. */
export const digestCacheBytesMax = 8 * 1024 * 1024;
/** From this age of the change log on, the store is asked, in ms. */
export const maxStalenessMs = 5_000;
/** Ids of one read for several who have time. */
const keysOfReadMax = 1_000;

export interface RecordCacheDeps {
  readonly store: Pick<StoreReads, "getKey" | "getKeys" | "getTenant" | "keysOfDigests">;
  readonly tail: Followed & { subscribe(listener: (event: TailEvent) => void): unknown };
  /** A clock that only goes forward, in ms. */
  readonly monotonicMs: () => number;
  readonly keyBytesMax?: number;
}

/**
 * The records that verifications need, in memory: digests of secrets among them, never a secret. Coherent by the change
 * log: a record is dropped when a change names it, everything when the history is another one.
 */
export class RecordCache implements KeyRecords {
  readonly #keys: CoherentCache<KeyId, ApiKey>;
  /** By tenant and digests: an imported credential, and that there is none. */
  readonly #digests: CoherentCache<string, KeyId>;
  readonly #tenants: CoherentCache<TenantId, Tenant>;

  constructor({ store, tail, monotonicMs, keyBytesMax = keyCacheBytesMax }: RecordCacheDeps) {
    const shared = { followed: tail, monotonicMs, maxStalenessMs, absentMax: absentIdsMax };
    this.#keys = new CoherentCache({
      ...shared,
      read: (id) => store.getKey(id),
      readTogether: gathered(
        async (ids) => new Map((await store.getKeys(ids)).map((key) => [key.id, key])),
        keysOfReadMax,
      ),
      bytesMax: keyBytesMax,
      bytesOf: bytesOfKey,
    });
    this.#digests = new CoherentCache({
      ...shared,
      read: async (id) => {
        const [tenantId, ...digests] = id.split(" ");
        const [found] = await store.keysOfDigests(tenantId as TenantId, digests.map(bytesOfHex));
        return found?.keyId;
      },
      readTogether: gathered((ids) => keysOfCredentials(store, ids), keysOfReadMax),
      bytesMax: digestCacheBytesMax,
      bytesOf: () => 500,
    });
    this.#tenants = new CoherentCache({
      ...shared,
      read: (id) => store.getTenant(id),
      bytesMax: tenantCacheBytesMax,
      bytesOf: bytesOfTenant,
    });
    tail.subscribe((event) => this.#apply(event));
  }

  /** What each cache has done and takes, for metrics. */
  get caches(): Readonly<Record<"keys" | "digests" | "tenants", Pick<CoherentCache<never, never>, "reads" | "bytes">>> {
    return { keys: this.#keys, digests: this.#digests, tenants: this.#tenants };
  }

  key(id: KeyId, noCache: boolean, together = false): Promise<Known<ApiKey>> {
    return this.#keys.get(id, noCache, together);
  }

  async keyOfDigests(
    tenantId: TenantId,
    digests: readonly Uint8Array[],
    noCache: boolean,
    together = false,
  ): Promise<Known<ApiKey>> {
    const id = [tenantId, ...digests.map((digest) => Buffer.from(digest).toString("hex"))].join(" ");
    const { value: keyId, ageMs } = await this.#digests.get(id, noCache, together);
    if (keyId === undefined) return { value: undefined, ageMs };
    const key = await this.key(keyId, noCache, together);
    return { value: key.value, ageMs: Math.max(ageMs, key.ageMs) };
  }

  tenant(id: TenantId, noCache: boolean): Promise<Known<Tenant>> {
    return this.#tenants.get(id, noCache);
  }

  knownKey(id: KeyId): Known<ApiKey> | undefined {
    return this.#keys.known(id);
  }

  knownTenant(id: TenantId): Known<Tenant> | undefined {
    return this.#tenants.known(id);
  }

  /** Drops a key whose row changed outside of the log, as when a secret is bound to another pepper. */
  forgetKey(id: KeyId): void {
    this.#keys.drop(id);
  }

  #apply(event: TailEvent): void {
    if (event.kind === "reset") {
      this.#keys.clear();
      this.#digests.clear();
      this.#tenants.clear();
      return;
    }
    const { change } = event.row;
    switch (change.kind) {
      case "key":
        for (const id of change.keyIds) this.#keys.drop(id);
        // Credentials that weren't there may be, and those that were may be another key's.
        if (change.event === "imported" || change.event === "deleted") this.#digests.clear();
        return;
      case "tenant":
        this.#tenants.drop(change.tenantId);
        return;
      case "secret":
        // A record may be bound to a pepper that is about to go.
        this.#keys.clear();
    }
  }
}

/** Gives the keys of several entries of the cache of digests, each a tenant and its digests, by one read for each tenant. */
async function keysOfCredentials(
  store: Pick<StoreReads, "keysOfDigests">,
  ids: readonly string[],
): Promise<ReadonlyMap<string, KeyId>> {
  const found = new Map<string, KeyId>();
  const ofTenant = new Map<string, Map<string, string>>();
  for (const id of ids) {
    const [tenantId = "", ...digests] = id.split(" ");
    const idOf = getOrMake(ofTenant, tenantId, () => new Map<string, string>());
    for (const digest of digests) idOf.set(digest, id);
  }
  for (const [tenantId, idOf] of ofTenant) {
    const keys = await store.keysOfDigests(tenantId as TenantId, [...idOf.keys()].map(bytesOfHex));
    for (const { keyId, digest } of keys) found.set(idOf.get(Buffer.from(digest).toString("hex")) ?? "", keyId);
  }
  return found;
}

/** About what a key takes in the heap: its objects, and what varies from key to key. */
export function bytesOfKey(key: ApiKey): number {
  const { name, ownerId, scopes, metadata, labels, allowedCidrs, constraints, secretVersions } = key;
  const { rateLimits, revocation } = key;
  const texts = JSON.stringify([
    ...[name, ownerId, scopes, metadata, labels, allowedCidrs, constraints],
    ...[rateLimits, revocation],
  ]);
  return 1_000 + 3 * texts.length + 350 * secretVersions.length;
}

function bytesOfTenant({ slug, name, settings }: Tenant): number {
  return 500 + 3 * JSON.stringify([slug, name, settings]).length;
}

function bytesOfHex(hex: string): Uint8Array {
  return Buffer.from(hex, "hex");
}
