import { base32Length, decodeBase32, encodeBase32 } from "./base32.ts";

/** A TypeID (UUIDv7 in 26 lower-case base32 characters) with the prefix `P`; safe to log. */
type TypeId<P extends string> = string & { readonly __typeId: P };

/** What an id begins with, before the `_`: tells what it names. */
export type IdPrefix = "ten" | "key" | "tok" | "sig" | "evt" | "sub";
/** An id of the kind `P`; any kind if not told. */
export type Id<P extends IdPrefix = IdPrefix> = TypeId<P>;

export type TenantId = TypeId<"ten">;
export type KeyId = TypeId<"key">;
export type TokenId = TypeId<"tok">;
export type SigningKeyId = TypeId<"sig">;
export type EventId = TypeId<"evt">;
export type SubscriptionId = TypeId<"sub">;

const suffixStart = 4;
const idLength = suffixStart + base32Length;
const timeMsMax = 2 ** 48 - 1;

/**
 * Makes an id: a UUIDv7 (RFC 9562 section 5.7) of `nowMs` (ms since the epoch, below 2^48) and 74 of the 80 bits of
 * `random`, 10 bytes that nobody can guess. Ids sort by the time they were made at, to the millisecond.
 */
export function newId<P extends IdPrefix>(prefix: P, nowMs: number, random: Uint8Array): Id<P> {
  if (!Number.isInteger(nowMs) || nowMs < 0 || nowMs > timeMsMax) throw new TypeError("time out of range");
  if (random.length !== 10) throw new TypeError("an id takes 10 random bytes");
  const bytes = new Uint8Array(16);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, Math.floor(nowMs / 2 ** 32));
  view.setUint32(2, nowMs % 2 ** 32);
  bytes.set(random, 6);
  view.setUint8(6, 0x70 | (view.getUint8(6) & 0x0f));
  view.setUint8(8, 0x80 | (view.getUint8(8) & 0x3f));
  return idFromBytes(prefix, bytes);
}

/** Gives the bound between ids of before `timeMs` (ms since the epoch) and those from then on: the least of the latter. */
export function firstIdAt<P extends IdPrefix>(prefix: P, timeMs: number): Id<P> {
  const bytes = new Uint8Array(16);
  const view = new DataView(bytes.buffer);
  const bounded = Math.min(Math.max(Math.floor(timeMs), 0), timeMsMax);
  view.setUint16(0, Math.floor(bounded / 2 ** 32));
  view.setUint32(2, bounded % 2 ** 32);
  return idFromBytes(prefix, bytes);
}

/**
 * Gives the text as an id of this kind, or undefined unless it is one in canonical form: prefix, `_`, 26 characters of
 * lower-case base32 of which the first is at most `7`. Whether the UUID has version 7 isn't asked, as TypeID has it.
 */
export function parseId<P extends IdPrefix>(prefix: P, text: string): Id<P> | undefined {
  if (text.length !== idLength || !text.startsWith(`${prefix}_`)) return undefined;
  return decodeBase32(text.slice(suffixStart)) && (text as Id<P>);
}

/** Whether the text is a canonical `ten_…`. */
export function isTenantId(text: string): text is TenantId {
  return parseId("ten", text) !== undefined;
}

/** Whether the text is a canonical `key_…`. */
export function isKeyId(text: string): text is KeyId {
  return parseId("key", text) !== undefined;
}

/** Gives the 16 bytes of an id: how digests, the wire and revocation sets hold it. */
export function idBytes(id: Id): Uint8Array {
  const bytes = decodeBase32(idSuffix(id));
  if (!bytes) throw new TypeError("not a canonical id");
  return bytes;
}

/** Gives the time that an id was made at, in ms since the epoch, as who made it said (RFC 9562 section 5.7). */
export function idTimeMs(id: Id): number {
  return Buffer.from(idBytes(id)).readUIntBE(0, 6);
}

/** Gives the id of this kind that has these 16 bytes. */
export function idFromBytes<P extends IdPrefix>(prefix: P, bytes: Uint8Array): Id<P> {
  return `${prefix}_${encodeBase32(bytes)}` as Id<P>;
}

/** Gives the 26 characters of an id after its prefix. */
export function idSuffix(id: Id): string {
  return id.slice(suffixStart);
}
