const alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const notInAlphabet = 0xff;
const valueOfCode = new Uint8Array(128).fill(notInAlphabet);
for (let value = 0; value < alphabet.length; value++) valueOfCode[alphabet.charCodeAt(value)] = value;

/** Characters that 32 bytes take: 62^43 is just above 2^256. */
export const base62Length = 43;

// The number is held in limbs of 24 bits, most significant first, and moved by four digits at a time: 62^4 < 2^24, so
// a limb times 62^4 stays an exact double. The limbs are scratch that holds secrets: they are zeroed after each use.
const limbCount = 11;
const limbBase = 2 ** 24;
const fourDigits = 62 ** 4;
const limbs = new Float64Array(limbCount);

/** Gives 32 bytes, read as one big-endian number, as 43 characters `0-9A-Za-z` with leading zeros. */
export function encodeBase62(bytes: Uint8Array): string {
  if (bytes.length !== 32) throw new TypeError("base62 takes 32 bytes");
  loadLimbs(bytes);
  const text = Buffer.allocUnsafe(base62Length + 1);
  for (let end = text.length; end > 0; end -= 4) {
    let group = divideLimbs();
    for (let at = end - 1; at >= end - 4; at--) {
      text[at] = alphabet.charCodeAt(group % 62);
      group = Math.floor(group / 62);
    }
  }
  // 44 digits are eleven whole groups; the first digit is always 0.
  const encoded = text.toString("latin1", 1);
  limbs.fill(0);
  text.fill(0);
  return encoded;
}

/**
 * Gives the 32 bytes of 43 characters; undefined for another length, another character, or a number above 2^256 − 1,
 * which would otherwise give one secret several texts.
 */
export function decodeBase62(text: string): Uint8Array | undefined {
  if (text.length !== base62Length) return undefined;
  let group = 0;
  let faulty = false;
  for (let at = 0; at < base62Length; at++) {
    const value = valueOfCode[text.charCodeAt(at)] ?? notInAlphabet;
    if (value === notInAlphabet) faulty = true;
    group = group * 62 + value;
    // Groups end where four digits each remain: after 3, 7, 11, …
    if (at % 4 !== 2) continue;
    if (!faulty) multiplyLimbs(group);
    group = 0;
  }
  const bytes = faulty || (limbs[0] as number) > 0xffff ? undefined : storeLimbs();
  limbs.fill(0);
  return bytes;
}

/** Gives a number below 62^`width` as `width` characters with leading zeros. */
export function encodeBase62Number(value: number, width: number): string {
  let text = "";
  let rest = value;
  for (let i = 0; i < width; i++) {
    text = alphabet.charAt(rest % 62) + text;
    rest = Math.floor(rest / 62);
  }
  if (rest !== 0) throw new TypeError("number too large for its width");
  return text;
}

function loadLimbs(bytes: Uint8Array): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  limbs[0] = view.getUint16(0);
  for (let i = 1; i < limbCount; i++) limbs[i] = (view.getUint16(3 * i - 1) << 8) | view.getUint8(3 * i + 1);
}

function storeLimbs(): Uint8Array {
  const bytes = new Uint8Array(32);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, limbs[0] as number);
  for (let i = 1; i < limbCount; i++) {
    const limb = limbs[i] as number;
    view.setUint16(3 * i - 1, limb >> 8);
    view.setUint8(3 * i + 1, limb & 0xff);
  }
  return bytes;
}

/** Divides by 62^4 in place and gives the remainder. */
function divideLimbs(): number {
  let remainder = 0;
  for (let i = 0; i < limbCount; i++) {
    const value = remainder * limbBase + (limbs[i] as number);
    const quotient = Math.floor(value / fourDigits);
    limbs[i] = quotient;
    remainder = value - quotient * fourDigits;
  }
  return remainder;
}

/** Multiplies by 62^4 and adds, in place. 43 digits are below 2^264, so nothing is carried out. */
function multiplyLimbs(addend: number): void {
  let carry = addend;
  for (let i = limbCount - 1; i >= 0; i--) {
    const value = (limbs[i] as number) * fourDigits + carry;
    carry = Math.floor(value / limbBase);
    limbs[i] = value - carry * limbBase;
  }
}
