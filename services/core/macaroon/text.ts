import { decodeCanonicalBase64url } from "../base64url.ts";
import { credentialBytesMax, isCredentialPrefix } from "../credential.ts";
import { readMacaroonV2 } from "./codec-v2.ts";
import type { Macaroon } from "./macaroon.ts";

// A v2 binary begins with the byte 02, so its base64url begins with "A", and a prefix has no upper-case letter:
// the first "_A" is where the prefix ends.
const boundary = "_A";

/** A macaroon as text, taken apart. */
export interface MacaroonText {
  /** What it begins with, without the `_`. */
  readonly prefix: string;
  /** The v2 binary. */
  readonly bytes: Buffer;
  readonly macaroon: Macaroon;
}

/**
 * Reads `<prefix>_<base64url of the v2 binary>`; undefined if it is not exactly that, with canonical base64url, in at
 * most 8 KiB. Whether the prefix is the tenant's is for the caller to say.
 */
export function readMacaroonText(text: string): MacaroonText | undefined {
  if (text.length > credentialBytesMax) return undefined;
  const prefix = text.slice(0, Math.max(text.indexOf(boundary), 0));
  if (!isCredentialPrefix(prefix)) return undefined;
  const bytes = decodeCanonicalBase64url(text.slice(prefix.length + 1));
  const macaroon = bytes && readMacaroonV2(bytes);
  return macaroon && { prefix, bytes, macaroon };
}

/** Writes a v2 binary as text. Throws TypeError if no verifier would read it back, for instance because it is too long. */
export function formatMacaroonText(prefix: string, bytes: Uint8Array): string {
  const text = `${prefix}_${Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("base64url")}`;
  if (readMacaroonText(text) === undefined) throw new TypeError("the macaroon is too long, or its prefix is malformed");
  return text;
}
