const alphabet = "0123456789abcdefghjkmnpqrstvwxyz";
const notInAlphabet = 0xff;
const valueOfCode = new Uint8Array(128).fill(notInAlphabet);
for (let value = 0; value < alphabet.length; value++) valueOfCode[alphabet.charCodeAt(value)] = value;

/** Characters that 16 bytes take. */
export const base32Length = 26;

/**
 * Gives 16 bytes as 26 characters of lower-case Crockford base32, most significant first. The 128 bits are led by two
 * zero bits, so the first character is at most `7` (TypeID specification 0.3).
 */
export function encodeBase32(bytes: Uint8Array): string {
  if (bytes.length !== 16) throw new TypeError("base32 takes 16 bytes");
  // Written to bytes and read out once: a string grown by `+` would stay a rope and cost many times its length.
  const text = Buffer.allocUnsafe(base32Length);
  let window = 0;
  let windowBits = 2;
  let at = 0;
  for (const byte of bytes) {
    window = (window << 8) | byte;
    windowBits += 8;
    while (windowBits >= 5) {
      windowBits -= 5;
      text[at++] = alphabet.charCodeAt((window >> windowBits) & 31);
    }
    window &= (1 << windowBits) - 1;
  }
  return text.toString("latin1");
}

/**
 * Gives the 16 bytes of 26 characters, or undefined unless the text is exactly what `encodeBase32` gives. Neither
 * upper case nor Crockford's look-alikes (`i`, `l`, `o`) are taken, so that one value has one text.
 */
export function decodeBase32(text: string): Uint8Array | undefined {
  if (text.length !== base32Length || text.charCodeAt(0) > 0x37) return undefined;
  const bytes = new Uint8Array(16);
  let window = 0;
  let windowBits = -2;
  let at = 0;
  for (let i = 0; i < base32Length; i++) {
    const value = valueOfCode[text.charCodeAt(i)] ?? notInAlphabet;
    if (value === notInAlphabet) return undefined;
    window = (window << 5) | value;
    windowBits += 5;
    if (windowBits < 8) continue;
    windowBits -= 8;
    bytes[at++] = window >> windowBits;
    window &= (1 << windowBits) - 1;
  }
  return bytes;
}
