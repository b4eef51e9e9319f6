import { hash, randomBytes } from "node:crypto";
import type { ApiKey, SecretVersion } from "../core/api-key.ts";
import { BoundedLru } from "../core/bounded-lru.ts";
import { credentialBytesMax } from "../core/credential.ts";
import { needsRebind, type Peppers } from "../core/digest.ts";
import type { Tenant } from "../core/tenant.ts";
import { bytesOfKey } from "./record-cache.ts";
import type { KeyRecords } from "./records.ts";

/**
 * Memory for what is remembered, in bytes as estimated: some 20 000 credentials. By size, since an entry keeps its key in
 * memory when the cache of records has let it go.
 */
export const seenKeysBytesMax = 32 * 1024 * 1024;

/** An issued key that was found authentic: by which records, and which secret of it was presented. */
export interface SeenKey {
  readonly tenant: Tenant;
  readonly key: ApiKey;
  readonly version: SecretVersion;
}

/** What a text was found to be, and is by the records of now. */
export interface KnownSeenKey extends SeenKey {
  /** How long ago the records were certain, in ms. */
  readonly ageMs: number;
}

/**
 * Remembers which texts were authentic, so that the same text needs no second parsing, no second HMAC and no promise as
 * long as the records are the very same objects: whether it is still allowed is decided each time. Texts are known by their SHA-256
 * under a salt of this process; no secret is kept, and only who has shown a right one gets an entry.
 */
export class SeenKeys {
  readonly #peppers: Peppers;
  readonly #records: Pick<KeyRecords, "knownKey" | "knownTenant">;
  readonly #salt = randomBytes(32).toString("base64");
  readonly #seen = new BoundedLru<string, SeenKey>(seenKeysBytesMax);

  constructor(peppers: Peppers, records: Pick<KeyRecords, "knownKey" | "knownTenant">) {
    this.#peppers = peppers;
    this.#records = records;
  }

  /** Gives what the text was, if the records are at hand and still the same. */
  find(presentedCredential: string): KnownSeenKey | undefined {
    if (presentedCredential.length > credentialBytesMax) return undefined;
    const seen = this.#seen.get(this.#fingerprint(presentedCredential));
    if (seen === undefined || !this.#isCurrent(seen.version)) return undefined;
    const { tenant, key, version } = seen;
    const knownTenant = this.#records.knownTenant(tenant.id);
    const knownKey = this.#records.knownKey(key.id);
    if (knownTenant?.value !== tenant || knownKey?.value !== key) return undefined;
    return { tenant, key, version, ageMs: Math.max(knownTenant.ageMs, knownKey.ageMs) };
  }

  note(presentedCredential: string, { tenant, key, version }: SeenKey): void {
    if (this.#isCurrent(version))
      this.#seen.set(this.#fingerprint(presentedCredential), { tenant, key, version }, bytesOfKey(key));
  }

  /** A secret under an older pepper is presented again, to be bound to the current one. */
  #isCurrent(version: SecretVersion): boolean {
    return !needsRebind(version, this.#peppers.current().id);
  }

  #fingerprint(presentedCredential: string): string {
    return hash("sha256", this.#salt + presentedCredential, "binary");
  }
}
