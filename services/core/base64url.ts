/**
 * Reads base64url (RFC 4648 section 5, no padding) only if it is the one text of its bytes; otherwise undefined.
 * Node's decoder skips junk, takes `+`, `/` and `=`, and ignores spare bits (RFC 4648 section 3.5); a credential with many texts would have
 * many cache keys and slip through lists that name it.
 */
export function decodeCanonicalBase64url(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, "base64url");
  return bytes.toString("base64url") === text ? bytes : undefined;
}
