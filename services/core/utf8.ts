// ignoreBOM: a leading U+FEFF is a character like any other, not a mark to drop.
const strictDecoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const beyondAscii = /[\u0080-\u00ff]/;

/** Reads UTF-8 without repair (RFC 3629): undefined for anything that is not well-formed. Nothing is dropped or normalised. */
export function decodeUtf8(bytes: Uint8Array): string | undefined {
  const buffer = Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  const text = buffer.toString("latin1");
  if (!beyondAscii.test(text)) return text;
  try {
    return strictDecoder.decode(bytes);
  } catch {
    return undefined;
  }
}
