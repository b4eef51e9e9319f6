import { isAscii } from "node:buffer";

// ignoreBOM: a leading U+FEFF is a character like any other, not a mark to drop.
const strictDecoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Reads UTF-8 without repair (RFC 3629): undefined for anything that is not well-formed. Nothing is dropped or normalised. */
export function decodeUtf8(bytes: Uint8Array): string | undefined {
  if (isAscii(bytes)) return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1");
  try {
    return strictDecoder.decode(bytes);
  } catch {
    return undefined;
  }
}
