import { createHmac, hash } from "node:crypto";

/**
 * Bytes as a string, one character of U+0000–U+00FF a byte. `crypto.hash` gives such a string without making a buffer
 * that is backed by native memory, which would cost as much as the hash itself. A string can't be zeroed: what lives
 * here is collected, not wiped. Never logged.
 */
export type ByteString = string & { readonly __byteString: true };

export function byteStringOf(bytes: Uint8Array): ByteString {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1") as ByteString;
}

export function bytesOf(text: ByteString): Buffer {
  return Buffer.from(text, "latin1");
}

const blockBytes = 64;
const digestBytes = 32;
const messageBytesMax = 8192;
const innerPad = 0x36;
const outerPad = 0x5c;

// Kept between calls. Every call is synchronous from its first write to its last read, so calls can't interleave.
// Bytes 32–63 are the pads of a zero-extended key and never change.
const innerBlock = new Uint8Array(blockBytes + messageBytesMax).fill(innerPad);
const outerBlock = new Uint8Array(blockBytes + digestBytes).fill(outerPad);

/** HMAC-SHA-256 (RFC 2104) with a key of exactly 32 bytes, by two plain hashes over kept pads. */
function hmacByTwoHashes(key: ByteString, message: Uint8Array): ByteString {
  if (message.length > messageBytesMax) return hmacByLibrary(key, message);
  for (let i = 0; i < digestBytes; i++) {
    const byte = key.charCodeAt(i);
    innerBlock[i] = byte ^ innerPad;
    outerBlock[i] = byte ^ outerPad;
  }
  innerBlock.set(message, blockBytes);
  const digest = hash("sha256", viewOf(blockBytes + message.length), "binary");
  for (let i = 0; i < digestBytes; i++) outerBlock[blockBytes + i] = digest.charCodeAt(i);
  return hash("sha256", outerBlock, "binary") as ByteString;
}

const keptViewBytesMax = 1024;
const keptViews: Uint8Array[] = [];

/** The first bytes of the inner block. Short views are kept: making one costs a sixth of an HMAC. */
function viewOf(bytes: number): Uint8Array {
  if (bytes > keptViewBytesMax) return innerBlock.subarray(0, bytes);
  keptViews[bytes] ??= innerBlock.subarray(0, bytes);
  return keptViews[bytes];
}

function hmacByLibrary(key: ByteString, message: Uint8Array): ByteString {
  return createHmac("sha256", bytesOf(key)).update(message).digest("binary") as ByteString;
}

/** Two test cases of RFC 4231, section 4.2 and 4.3: key, message, digest. HMAC extends their keys with zeros to 32 bytes. */
const selfTest: readonly (readonly [string, string, string])[] = [
  ["0b".repeat(20), "4869205468657265", "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"],
  [
    "4a656665",
    "7768617420646f2079612077616e7420666f72206e6f7468696e673f",
    "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
  ],
];

function passesSelfTest(): boolean {
  if (typeof hash !== "function") return false;
  return selfTest.every(([key, message, digest]) => {
    const extended = Buffer.concat([Buffer.from(key, "hex"), Buffer.alloc(digestBytes)]).subarray(0, digestBytes);
    const made = hmacByTwoHashes(byteStringOf(extended), Buffer.from(message, "hex"));
    return bytesOf(made).toString("hex") === digest;
  });
}

/** Both ways, for tests that hold them equal. */
export const hmacWays = { hmacByTwoHashes, hmacByLibrary };

const chosen = passesSelfTest() ? hmacByTwoHashes : hmacByLibrary;

/**
 * HMAC-SHA-256 (RFC 2104) for chains, where each result is the next key: about a third of the time of `createHmac`.
 * The quick way is used only if it passes the vectors of RFC 4231 when this module loads.
 *
 * @param key exactly 32 bytes; throws TypeError otherwise
 */
export function hmacSha256(key: ByteString, message: Uint8Array): ByteString {
  if (key.length !== digestBytes) throw new TypeError("an HMAC key in a chain has 32 bytes");
  return chosen(key, message);
}
