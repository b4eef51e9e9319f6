import { createHash, type Hash } from "node:crypto";
import { canonicalJson } from "../canonical-json.ts";
import type { PublishedSigningKey } from "../change.ts";
import { lengthPrefixed } from "../derive-key.ts";
import { sha256 } from "../digest.ts";
import type { AudienceKeyItem, KeySetDelta } from "./key-set-delta.ts";

/** What goes before each of the items that aren't packed ids, so that none can be read as another. */
const partKind = { signingKeys: 1, tenantDisabled: 2, issuedBefore: 3, audienceKeys: 4, imported: 5 } as const;

/**
 * The SHA-256 of what an event tells, in a form that doesn't depend on protobuf nor on how a snapshot is split: SHA-256 of
 * six SHA-256s, of all marked keys' ids, of their marks (4 bytes each), of the ids of revoked tokens, of forgotten tokens, of
 * changed keys, and of the rest, in the order of the fields: byte 1, count (4 bytes), then for each signing key kid, state
 * and JWK as canonical JSON; byte 2 and 0 or 1 for `tenant_disabled`; byte 3 and ms (8 bytes) for `issued_before`; byte 4,
 * count, then for each audience key audience, master id, generation (8 bytes), key, 0 or 1 for whether it has an end, and
 * its ms (8 bytes); byte 5 if keys were imported. Texts and keys have their length before them (2 bytes); numbers are
 * big-endian; what isn't set is left out.
 *
 * The digest of a feed doesn't do for this: whoever may choose some hundred items can make their XOR what he likes.
 */
export class ContentHash {
  readonly #columns = Array.from({ length: 5 }, () => createHash("sha256"));
  readonly #rest = createHash("sha256");

  /** Takes a delta, or the next part of a snapshot. Throws RangeError for numbers that no server sends. */
  add(delta: KeySetDelta): void {
    const columns = [
      delta.markedKeys,
      uint32s(delta.marks),
      delta.revokedTokens,
      delta.forgottenTokens,
      delta.changedKeys,
    ];
    columns.forEach((bytes, i) => void this.#columns[i]?.update(bytes));
    addRest(this.#rest, delta);
  }

  /** 32 bytes, of what was taken so far. */
  digest(): Uint8Array {
    return sha256(Buffer.concat([...this.#columns, this.#rest].map((hash) => hash.copy().digest())));
  }
}

/** The content hash of an event that tells no items. Not to be written to. */
const contentHashOfNone = new ContentHash().digest();

/** The content hash of what is told at once; undefined: of nothing. */
export function contentHashOf(delta?: KeySetDelta): Uint8Array {
  if (delta === undefined) return contentHashOfNone;
  const hash = new ContentHash();
  hash.add(delta);
  return hash.digest();
}

function addRest(hash: Hash, delta: KeySetDelta): void {
  const { signingKeys, tenantDisabled, issuedBeforeMs, audienceKeys, imported } = delta;
  if (signingKeys !== undefined) addList(hash, partKind.signingKeys, signingKeys.map(signingKeyBytes));
  if (tenantDisabled !== undefined) hash.update(Uint8Array.of(partKind.tenantDisabled, Number(tenantDisabled)));
  if (issuedBeforeMs !== undefined) hash.update(Uint8Array.of(partKind.issuedBefore)).update(uint64(issuedBeforeMs));
  if (audienceKeys !== undefined) addList(hash, partKind.audienceKeys, audienceKeys.map(audienceKeyBytes));
  if (imported) hash.update(Uint8Array.of(partKind.imported));
}

function addList(hash: Hash, kind: number, items: readonly Uint8Array[]): void {
  hash.update(Uint8Array.of(kind)).update(uint32s([items.length]));
  for (const item of items) hash.update(item);
}

function signingKeyBytes({ kid, state, publicJwk }: PublishedSigningKey): Uint8Array {
  return lengthPrefixed([kid, state, canonicalJson(publicJwk)]);
}

function audienceKeyBytes({ audience, masterId, generation, key, endTimeMs }: AudienceKeyItem): Uint8Array {
  const end = Buffer.concat([Uint8Array.of(endTimeMs === undefined ? 0 : 1), uint64(endTimeMs ?? 0)]);
  return Buffer.concat([lengthPrefixed([audience, masterId]), uint64(generation), lengthPrefixed([key]), end]);
}

function uint32s(values: readonly number[]): Uint8Array {
  const bytes = Buffer.allocUnsafe(values.length * 4);
  for (let i = 0; i < values.length; i++) bytes.writeUInt32BE(values[i] as number, i * 4);
  return bytes;
}

function uint64(value: number): Uint8Array {
  const bytes = Buffer.allocUnsafe(8);
  bytes.writeBigUInt64BE(BigInt(value));
  return bytes;
}
