import { type CredentialPrefixes, classifyCredential, parseIssuedKey } from "./credential.ts";

/** The longest key that is imported raw, in bytes of UTF-8. */
export const importedKeyBytesMax = 4096;

/**
 * Says why a text can't be imported as a key, for people and without the text; undefined if it can. What would be taken
 * for a macaroon, an issued key (of any tenant: a bearer credential doesn't tell its own) or a JWT could never verify.
 * `bytesMin` is the tenant's.
 */
export function importedKeyFault(raw: string, prefixes: CredentialPrefixes, bytesMin: number): string | undefined {
  const bytes = Buffer.byteLength(raw);
  if (bytes < bytesMin || bytes > importedKeyBytesMax) return `must have ${bytesMin} to ${importedKeyBytesMax} bytes`;
  if (/[\p{Cc}\p{Cs}]/u.test(raw)) return "must not contain control characters";
  const { kind } = classifyCredential(raw, prefixes);
  if (kind === "IMPORTED_KEY" && parseIssuedKey(raw) === undefined) return undefined;
  return "looks like a macaroon, an issued key or a JWT, and so could never verify";
}
