import { encodeBase62Number } from "./base62.ts";

/** Reflected polynomial of CRC-32/IEEE (ISO-HDLC), as in zlib and PNG. */
const polynomial = 0xedb88320;
const table = new Int32Array(256).map((_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? polynomial : 0);
  return crc;
});

/** Characters of a checksum in base62. */
export const crc32Length = 6;

/** Gives the CRC-32/IEEE of ASCII text, 0 to 2^32 − 1. It finds typing errors and is no security. */
export function crc32(text: string): number {
  let crc = -1;
  for (let i = 0; i < text.length; i++) {
    crc = (table[(crc ^ text.charCodeAt(i)) & 0xff] as number) ^ (crc >>> 8);
  }
  return ~crc >>> 0;
}

/** Gives the CRC-32 of ASCII text as 6 characters of base62 with leading zeros: the end of an issued key. */
export function crc32Base62(text: string): string {
  return encodeBase62Number(crc32(text), crc32Length);
}
