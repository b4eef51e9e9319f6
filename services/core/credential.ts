import { createHash } from "node:crypto";
import { base32Length } from "./base32.ts";
import { base62Length, decodeBase62, encodeBase62 } from "./base62.ts";
import { crc32Base62, crc32Length } from "./crc32.ts";
import { idSuffix, type KeyId, parseId } from "./ids.ts";
import type { TenantSettings } from "./tenant.ts";

/** The longest credential that is looked at, in bytes of UTF-8. */
export const credentialBytesMax = 8192;

/** What a tenant's credentials begin with; its settings are one. */
export type CredentialPrefixes = Pick<
  TenantSettings,
  "secretPrefixes" | "publicPrefixes" | "retiredPrefixes" | "macaroonPrefix" | "retiredMacaroonPrefixes"
>;

/** An issued key that is well formed; whether it exists and the secret is right is another question. */
export interface PresentedIssuedKey {
  readonly kind: "ISSUED_KEY";
  readonly prefix: string;
  readonly keyId: KeyId;
  /** 32 bytes; never logged, never kept. */
  readonly secret: Uint8Array;
}

/** Text that is nothing of ours, and so may be the key of another system. */
export interface PresentedImportedKey {
  readonly kind: "IMPORTED_KEY";
  /** SHA-256 of the text's UTF-8, 32 bytes: all that is needed of it. */
  readonly rawSha256: Uint8Array;
}

/** Text with the shape of a JWS in compact form (RFC 7515 section 3.1); nothing of it is verified. */
export interface PresentedJwt {
  readonly kind: "JWT";
  readonly unverifiedText: string;
}

/** Text that begins as a macaroon; nothing of it is verified. */
export interface PresentedMacaroon {
  readonly kind: "MACAROON";
  readonly prefix: string;
  /** What follows the prefix and its `_`. */
  readonly unverifiedText: string;
}

/** Text that can't be a credential: empty, too long, or an issued key with a wrong id, secret or checksum. */
export interface MalformedCredential {
  readonly kind: "MALFORMED";
  /** What it was meant to be, if it can be told. */
  readonly meantAs?: "ISSUED_KEY";
}

export type PresentedCredential =
  | PresentedIssuedKey
  | PresentedImportedKey
  | PresentedJwt
  | PresentedMacaroon
  | MalformedCredential;

const issuedKeyTailLength = base32Length + base62Length + crc32Length;
const prefixPattern = /^[a-z][a-z0-9_]{0,18}[a-z0-9]$/;
// An empty signature is let through as a JWT, so that `alg: none` is refused as a bad JWT instead of looked up as a key.
const jwtPattern = /^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*$/;

/**
 * Says what a presented text is, in this order: macaroon, issued key, JWT, imported key. `prefixes` are those of the
 * tenant that is verified for. Time is linear in the text, whose length is checked first.
 *
 * A bearer credential doesn't tell its tenant: try `parseIssuedKey` first there, then this with the prefixes of tenant
 * `default`.
 */
export function classifyCredential(presentedCredential: string, prefixes: CredentialPrefixes): PresentedCredential {
  if (presentedCredential === "" || exceedsBytes(presentedCredential, credentialBytesMax)) return { kind: "MALFORMED" };
  const prefix = macaroonPrefixOf(presentedCredential, prefixes);
  if (prefix !== undefined) {
    return { kind: "MACAROON", prefix, unverifiedText: presentedCredential.slice(prefix.length + 1) };
  }
  if (hasKeyPrefix(presentedCredential, prefixes)) {
    return parseIssuedKey(presentedCredential) ?? { kind: "MALFORMED", meantAs: "ISSUED_KEY" };
  }
  if (jwtPattern.test(presentedCredential)) return { kind: "JWT", unverifiedText: presentedCredential };
  return { kind: "IMPORTED_KEY", rawSha256: createHash("sha256").update(presentedCredential).digest() };
}

/**
 * Gives the parts of an issued key of any tenant, or undefined unless prefix, id, secret and checksum are well formed.
 * Reads from the end, since a prefix may itself contain `_`. The alphabets are checked before the checksum, which takes
 * ASCII only.
 */
export function parseIssuedKey(presentedCredential: string): PresentedIssuedKey | undefined {
  const separator = presentedCredential.length - issuedKeyTailLength - 1;
  const prefix = presentedCredential.slice(0, Math.max(separator, 0));
  if (presentedCredential[separator] !== "_" || prefix.length > 20 || !isCredentialPrefix(prefix)) return undefined;
  const secretStart = separator + 1 + base32Length;
  const crcStart = secretStart + base62Length;
  const keyId = parseId("key", `key_${presentedCredential.slice(separator + 1, secretStart)}`);
  const secret = decodeBase62(presentedCredential.slice(secretStart, crcStart));
  if (!keyId || !secret) return undefined;
  if (crc32Base62(presentedCredential.slice(0, crcStart)) !== presentedCredential.slice(crcStart)) return undefined;
  return { kind: "ISSUED_KEY", prefix, keyId, secret };
}

/** Gives the text of an issued key: `<prefix>_<id 26><secret 43><crc 6>`. `secret` is 32 random bytes. Shown once. */
export function formatIssuedKey(prefix: string, keyId: KeyId, secret: Uint8Array): string {
  if (!isCredentialPrefix(prefix)) throw new TypeError("not a credential prefix");
  const checked = `${prefix}_${idSuffix(keyId)}${encodeBase62(secret)}`;
  return checked + crc32Base62(checked);
}

/** Whether the text may be a prefix of keys or macaroons: `[a-z][a-z0-9_]{0,18}[a-z0-9]`. */
export function isCredentialPrefix(text: string): boolean {
  return prefixPattern.test(text);
}

/**
 * Gives those prefixes that would be taken for macaroons of the same tenant: equal to a macaroon prefix, or beginning
 * with one and `_`. Settings with any are refused, since such a credential could never be verified as what it is.
 */
export function ambiguousPrefixes(prefixes: CredentialPrefixes): readonly string[] {
  const macaroon = [prefixes.macaroonPrefix, ...prefixes.retiredMacaroonPrefixes];
  const keys = [...prefixes.secretPrefixes, ...prefixes.publicPrefixes, ...prefixes.retiredPrefixes];
  return [
    ...keys.filter((prefix) => macaroon.includes(prefix)),
    ...[...keys, ...macaroon].filter((prefix) => macaroon.some((other) => prefix.startsWith(`${other}_`))),
  ];
}

/**
 * A regular expression, for secret scanners, that finds issued keys of any prefix; the README says how to use it. It needs
 * no look-around and no back-references, so RE2 and Hyperscan take it; every repetition is bounded.
 */
export const issuedKeyScannerPattern = "\\b[a-z][a-z0-9_]{0,18}[a-z0-9]_[0-7][0-9a-hjkmnp-tv-z]{25}[0-9A-Za-z]{49}\\b";

function macaroonPrefixOf(text: string, prefixes: CredentialPrefixes): string | undefined {
  const begins = (prefix: string) => text.startsWith(prefix) && text[prefix.length] === "_";
  return begins(prefixes.macaroonPrefix) ? prefixes.macaroonPrefix : prefixes.retiredMacaroonPrefixes.find(begins);
}

/** Whether the text is a key prefix of the tenant, `_` and exactly 75 characters. */
function hasKeyPrefix(text: string, prefixes: CredentialPrefixes): boolean {
  const separator = text.length - issuedKeyTailLength - 1;
  if (separator < 0 || text[separator] !== "_") return false;
  const prefix = text.slice(0, separator);
  return (
    prefixes.secretPrefixes.includes(prefix) ||
    prefixes.publicPrefixes.includes(prefix) ||
    prefixes.retiredPrefixes.includes(prefix)
  );
}

function exceedsBytes(text: string, bytesMax: number): boolean {
  // A UTF-16 unit is at least one byte of UTF-8 and at most three: only lengths in between need to be counted.
  if (text.length > bytesMax) return true;
  return text.length * 3 > bytesMax && Buffer.byteLength(text) > bytesMax;
}
