import { createHash, timingSafeEqual } from "node:crypto";
import type { SecretVersion } from "./api-key.ts";
import { byteStringOf, bytesOf, hmacSha256 } from "./hmac-sha256.ts";
import { idBytes, type KeyId, type TenantId } from "./ids.ts";

/**
 * A server-side secret under which the digests of keys are made: without it the database lets nobody test a guess.
 * Kept in the store sealed under the master key.
 */
export interface Pepper {
  /** Safe to log. */
  readonly id: string;
  /** 32 random bytes; never logged. */
  readonly key: Uint8Array;
}

/** The peppers at hand. */
export interface Peppers {
  /** The one that new digests are bound to. Throws SECRET_NOT_LOADED if there is none. */
  current(): Pepper;
  /** The pepper of this id; undefined if it isn't loaded. */
  get(id: string): Pepper | undefined;
  /** All that are loaded, the current one first: an imported key is looked up under each. */
  live(): readonly Pepper[];
  /** Whether one of the store's peppers isn't loaded: what is bound to it can't be told from what isn't there. */
  someSealed(): boolean;
}

const issuedDomain = Buffer.from("ichor/v1/issued\0");
const importedDomain = Buffer.from("ichor/v1/imported\0");

/**
 * Gives what is stored of an issued key's secret (32 bytes), 32 bytes:
 * `HMAC-SHA-256(pepper, "ichor/v1/issued" ‖ 0 ‖ tenant id ‖ key id ‖ secret)`, ids as 16 bytes each. Every part has a
 * fixed length, so no two inputs share a message; the ids keep a row from being moved to another key or tenant.
 */
export function issuedDigest(pepper: Pepper, tenantId: TenantId, keyId: KeyId, secret: Uint8Array): Uint8Array {
  if (secret.length !== 32) throw new TypeError("an issued secret has 32 bytes");
  return hmac(pepper, [issuedDomain, idBytes(tenantId), idBytes(keyId), secret]);
}

/**
 * Gives what is stored of an imported key, 32 bytes:
 * `HMAC-SHA-256(pepper, "ichor/v1/imported" ‖ 0 ‖ tenant id ‖ SHA-256(raw))`. It takes the SHA-256 of the raw key, so
 * that a key can be imported by who holds no more than that. The key's id isn't in it: the digest is what finds the key.
 */
export function importedDigest(pepper: Pepper, tenantId: TenantId, rawSha256: Uint8Array): Uint8Array {
  if (rawSha256.length !== 32) throw new TypeError("a SHA-256 has 32 bytes");
  return hmac(pepper, [importedDomain, idBytes(tenantId), rawSha256]);
}

/** Gives the SHA-256 of bytes, or of a text's UTF-8, 32 bytes. */
export function sha256(data: Uint8Array | string): Uint8Array {
  return createHash("sha256").update(data).digest();
}

/** Whether two digests are equal; in constant time for equal lengths. */
export function digestsEqual(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && timingSafeEqual(a, b);
}

/** Whether a secret that was just seen should be bound to the current pepper, so that the older one can be retired. */
export function needsRebind(version: Pick<SecretVersion, "pepperId">, currentPepperId: string): boolean {
  return version.pepperId !== currentPepperId;
}

function hmac(pepper: Pepper, parts: readonly Uint8Array[]): Uint8Array {
  if (pepper.key.length !== 32) throw new TypeError("a pepper has 32 bytes");
  return bytesOf(hmacSha256(byteStringOf(pepper.key), Buffer.concat(parts)));
}
