import { hkdfSync } from "node:crypto";

/**
 * Derives a key of 32 bytes for one purpose: HKDF-SHA-256 (RFC 5869) of `secret` with empty salt and
 * info = `ichor/v1/` ‖ purpose ‖ 0x00 ‖ each field as uint16 length (big-endian) ‖ bytes, so that no two purposes or
 * lists of fields share a key. The audience key has an info of its own; see design section 3.
 */
export function deriveKey(
  secret: Uint8Array,
  purpose: string,
  fields: readonly (string | Uint8Array)[] = [],
): Uint8Array {
  const info = Buffer.concat([Buffer.from(`ichor/v1/${purpose}\0`), lengthPrefixed(fields)]);
  return new Uint8Array(hkdfSync("sha256", secret, new Uint8Array(0), info, 32));
}

/** Joins fields unambiguously: each as uint16 length (big-endian) ‖ bytes; text as UTF-8. */
export function lengthPrefixed(fields: readonly (string | Uint8Array)[]): Buffer {
  return Buffer.concat(
    fields.flatMap((field) => {
      const bytes = typeof field === "string" ? Buffer.from(field) : field;
      const length = Buffer.alloc(2);
      // Throws RangeError above 65 535.
      length.writeUInt16BE(bytes.length);
      return [length, bytes];
    }),
  );
}
