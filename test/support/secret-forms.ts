/** The ways in which a secret might have been written; of a credential also its own part, without id and checksum. */
export function formsOf(secret: Uint8Array, text?: string): readonly (string | Buffer)[] {
  const bytes = Buffer.from(secret);
  const written = [bytes, bytes.toString("hex"), bytes.toString("base64").slice(0, -2), bytes.toString("base64url")];
  return text === undefined ? written : [...written, text.slice(-49, -6)];
}
