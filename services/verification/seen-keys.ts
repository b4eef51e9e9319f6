import { hash, randomBytes } from "node:crypto";
import type { ApiKey, SecretVersion } from "../core/api-key.ts";
import { BoundedLru } from "../core/bounded-lru.ts";
import { credentialBytesMax } from "../core/credential.ts";
import { needsRebind, type Peppers } from "../core/digest.ts";
import type { Tenant } from "../core/tenant.ts";
import { bytesOfKey } from "./record-cache.ts";

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

/**
 * Remembers which texts were authentic, so that the same text needs no second parsing and no second HMAC as long as the
 * records are the very same objects: whether it is still allowed is decided each time. Texts are known by their SHA-256
 * under a salt of this process; no secret is kept, and only who has shown a right one gets an entry.
 */
export class SeenKeys {
  readonly #peppers: Peppers;
  readonly #salt = randomBytes(32).toString("base64");
  readonly #seen = new BoundedLru<string, SeenKey>(seenKeysBytesMax);

  constructor(peppers: Peppers) {
    this.#peppers = peppers;
  }

  /** Gives what the text was, if it is still to be taken for that: whoever uses it compares the records with those of now. */
  find(presentedCredential: string): SeenKey | undefined {
    if (presentedCredential.length > credentialBytesMax) return undefined;
    const seen = this.#seen.get(this.#fingerprint(presentedCredential));
    return seen && this.#isCurrent(seen.version) ? seen : undefined;
  }

  note(presentedCredential: string, seen: SeenKey): void {
    if (this.#isCurrent(seen.version))
      this.#seen.set(this.#fingerprint(presentedCredential), seen, bytesOfKey(seen.key));
  }

  /** A secret under an older pepper is presented again, to be bound to the current one. */
  #isCurrent(version: SecretVersion): boolean {
    return !needsRebind(version, this.#peppers.current().id);
  }

  #fingerprint(presentedCredential: string): string {
    return hash("sha256", this.#salt + presentedCredential, "binary");
  }
}
