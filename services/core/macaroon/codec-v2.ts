import { decodeUtf8 } from "../utf8.ts";
import { caveatsMax, type Macaroon, macaroonBytesMax, type RawCaveat, signatureBytes } from "./macaroon.ts";

// The v2 binary form of libmacaroons (doc/format.txt there): each field is a type, a length as varint, and data.
//   02 [location] identifier 00 ( [location] identifier [verification id] 00 )* 00 signature
const version = 2;
const endOfSection = 0;
const locationField = 1;
const identifierField = 2;
const verificationIdField = 4;
const signatureField = 6;

/** What every v2 binary ends in: the end of the caveats, then the signature field. */
export const trailerBytes = 3 + signatureBytes;

/** How far a reader has come. */
interface Cursor {
  readonly bytes: Uint8Array;
  at: number;
}

/**
 * Reads the v2 binary form. Strict, so that one macaroon has one encoding: undefined for a length that is not minimal,
 * a field out of order, an empty location, a location on a first-party caveat, a location that is not UTF-8, a
 * signature of other than 32 bytes, bytes after it, more than 64 caveats, or more than 8 KiB.
 * The parts are views of `bytes`, not copies.
 */
export function readMacaroonV2(bytes: Uint8Array): Macaroon | undefined {
  if (bytes.length > macaroonBytesMax || bytes[0] !== version) return undefined;
  const cursor: Cursor = { bytes, at: 1 };
  const location = readLocation(cursor);
  const identifier = readField(cursor, identifierField);
  if (location === undefined || identifier === undefined || !skipByte(cursor, endOfSection)) return undefined;
  const caveats: RawCaveat[] = [];
  while (!skipByte(cursor, endOfSection)) {
    const caveat = caveats.length < caveatsMax ? readCaveat(cursor) : undefined;
    if (caveat === undefined) return undefined;
    caveats.push(caveat);
  }
  const signature = readField(cursor, signatureField);
  if (signature?.length !== signatureBytes || cursor.at !== bytes.length) return undefined;
  return { location, identifier, caveats, signature };
}

function readCaveat(cursor: Cursor): RawCaveat | undefined {
  const location = readLocation(cursor);
  const id = readField(cursor, identifierField);
  if (location === undefined || id === undefined) return undefined;
  if (skipByte(cursor, endOfSection)) return location === "" ? { id } : undefined;
  const verificationId = readField(cursor, verificationIdField);
  if (verificationId === undefined || verificationId.length === 0 || !skipByte(cursor, endOfSection)) return undefined;
  return location === "" ? { id, verificationId } : { id, verificationId, location };
}

/** Reads the location if there is one: empty if absent, undefined if malformed. */
function readLocation(cursor: Cursor): string | undefined {
  if (cursor.bytes[cursor.at] !== locationField) return "";
  const data = readField(cursor, locationField);
  return data === undefined || data.length === 0 ? undefined : decodeUtf8(data);
}

function readField(cursor: Cursor, type: number): Uint8Array | undefined {
  if (!skipByte(cursor, type)) return undefined;
  const length = readLength(cursor);
  const start = cursor.at;
  if (length < 0 || start + length > cursor.bytes.length) return undefined;
  cursor.at = start + length;
  return cursor.bytes.subarray(start, cursor.at);
}

/** Reads a minimal varint below 2^14, which covers every length up to 8 KiB; −1 for anything else. */
function readLength(cursor: Cursor): number {
  const low = cursor.bytes[cursor.at++];
  if (low === undefined) return -1;
  if (low < 0x80) return low;
  const high = cursor.bytes[cursor.at++];
  // A zero here would be the same number in more bytes; a high bit would make it too long.
  if (high === undefined || high === 0 || high >= 0x80) return -1;
  return (low & 0x7f) | (high << 7);
}

function skipByte(cursor: Cursor, byte: number): boolean {
  if (cursor.bytes[cursor.at] !== byte) return false;
  cursor.at++;
  return true;
}

/**
 * Writes the v2 binary form, as libmacaroons does byte for byte.
 * Throws TypeError for what {@link readMacaroonV2} would refuse to read back.
 */
export function writeMacaroonV2(macaroon: Macaroon): Buffer {
  const parts: Uint8Array[] = [Buffer.of(version)];
  if (macaroon.location !== "") pushField(parts, locationField, Buffer.from(macaroon.location));
  pushField(parts, identifierField, macaroon.identifier);
  parts.push(Buffer.of(endOfSection));
  for (const caveat of macaroon.caveats) pushCaveat(parts, caveat);
  parts.push(Buffer.of(endOfSection));
  pushField(parts, signatureField, macaroon.signature);
  const bytes = Buffer.concat(parts);
  if (readMacaroonV2(bytes) === undefined)
    throw new TypeError("the macaroon is too large, or one of its parts is malformed");
  return bytes;
}

function pushCaveat(parts: Uint8Array[], caveat: RawCaveat): void {
  if (caveat.location !== undefined) pushField(parts, locationField, Buffer.from(caveat.location));
  pushField(parts, identifierField, caveat.id);
  if (caveat.verificationId !== undefined) pushField(parts, verificationIdField, caveat.verificationId);
  parts.push(Buffer.of(endOfSection));
}

function pushField(parts: Uint8Array[], type: number, data: Uint8Array): void {
  const { length } = data;
  if (length > macaroonBytesMax) throw new TypeError("a field of a macaroon is too large");
  parts.push(length < 0x80 ? Buffer.of(type, length) : Buffer.of(type, (length & 0x7f) | 0x80, length >> 7), data);
}

/** The bytes of one first-party caveat, for {@link attenuateMacaroonV2} to put before the trailer. */
export function writeFirstPartyCaveat(id: Uint8Array): Buffer {
  const parts: Uint8Array[] = [];
  pushCaveat(parts, { id });
  return Buffer.concat(parts);
}
