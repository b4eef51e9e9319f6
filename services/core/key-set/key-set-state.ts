import { hash } from "node:crypto";
import { canonicalJson } from "../canonical-json.ts";
import type { PublishedSigningKey } from "../change.ts";
import { IdTable } from "./id-table.ts";
import { type AudienceKeyItem, emptyDelta, type KeySetDelta } from "./key-set-delta.ts";

/** What goes before an item's bytes, so that no two kinds of items have the same. */
const itemKind = { key: 1, token: 2, signingKey: 3, tenantDisabled: 4, issuedBefore: 5, audienceKey: 6 } as const;

const scratch = Buffer.alloc(21);

/**
 * The live items of a tenant's public key set, with their digest: the XOR of the SHA-256 of each. Server and verifier
 * hold the same, and compare digests to see that they do. Items and their bytes: a key's mark (1, key id, mark as 4
 * bytes), a revoked token (2, token id), a signing key (3, kid, 0, state, 0, JWK as canonical JSON), a disabled
 * tenant (4), the end of tokens issued before a time (5, ms as 8 bytes), a root key of macaroons (6, audience, 0, master id, 0,
 * generation as 8 bytes, key, ms of its end or 0 as 8 bytes); numbers are big-endian.
 */
export class KeySetState {
  readonly #marks: IdTable;
  readonly #tokens: IdTable;
  #signingKeys: readonly PublishedSigningKey[] = [];
  #audienceKeys: readonly AudienceKeyItem[] = [];
  #tenantDisabled = false;
  #issuedBeforeMs = 0;
  readonly #digest = Buffer.alloc(32);

  /**
   * @param seed of the tables' hash, random
   * @param expected how many marks and revoked tokens there will be
   */
  constructor(seed: number, expected: { readonly marks?: number; readonly tokens?: number } = {}) {
    this.#marks = new IdTable(seed, expected.marks);
    this.#tokens = new IdTable(seed, expected.tokens);
  }

  /** A copy of the digest, 32 bytes. */
  get digest(): Uint8Array {
    return Uint8Array.from(this.#digest);
  }

  get signingKeys(): readonly PublishedSigningKey[] {
    return this.#signingKeys;
  }

  get audienceKeys(): readonly AudienceKeyItem[] {
    return this.#audienceKeys;
  }

  get tenantDisabled(): boolean {
    return this.#tenantDisabled;
  }

  /** Tokens issued before are dead, ms since the epoch; 0: none is. */
  get issuedBeforeMs(): number {
    return this.#issuedBeforeMs;
  }

  get markCount(): number {
    return this.#marks.size;
  }

  get tokenCount(): number {
    return this.#tokens.size;
  }

  /** What the tables take, in bytes. */
  get byteLength(): number {
    return this.#marks.byteLength + this.#tokens.byteLength;
  }

  /** The mark of a key by the 16 bytes of its id (see key-mark.ts); 0: it has none. */
  markOf(keyId: Uint8Array): number {
    return this.#marks.get(keyId);
  }

  /** Whether a token was revoked by itself, by the 16 bytes of its id. */
  isTokenRevoked(tokenId: Uint8Array): boolean {
    return this.#tokens.get(tokenId) !== 0;
  }

  /** Takes a delta, or a part of a snapshot, which is one from nothing. */
  apply(delta: KeySetDelta): void {
    const { markedKeys, marks, revokedTokens, forgottenTokens } = delta;
    for (let i = 0; i < marks.length; i++) this.#setMark(markedKeys, i * 16, marks[i] as number);
    for (let at = 0; at < revokedTokens.length; at += 16) this.#setToken(revokedTokens, at, 1);
    for (let at = 0; at < forgottenTokens.length; at += 16) this.#setToken(forgottenTokens, at, 0);
    if (delta.signingKeys !== undefined) this.#setSigningKeys(delta.signingKeys);
    if (delta.audienceKeys !== undefined) this.#setAudienceKeys(delta.audienceKeys);
    if (delta.tenantDisabled !== undefined && delta.tenantDisabled !== this.#tenantDisabled) {
      this.#tenantDisabled = delta.tenantDisabled;
      this.#flip(Uint8Array.of(itemKind.tenantDisabled));
    }
    if (delta.issuedBeforeMs !== undefined) this.#setIssuedBefore(delta.issuedBeforeMs);
  }

  /**
   * Gives what is known now as deltas from nothing, of at most so many ids each, made when they are asked for. They are
   * made of a copy, so that nothing that changes meanwhile is in them.
   */
  parts(idsMax: number): Iterable<KeySetDelta> {
    const { signingKeys, audienceKeys, tenantDisabled, issuedBeforeMs } = this;
    const rest = { signingKeys, audienceKeys, tenantDisabled, issuedBeforeMs };
    return partsOf(this.#marks.copy(), this.#tokens.copy(), rest, idsMax);
  }

  #setMark(ids: Uint8Array, at: number, mark: number): void {
    const before = this.#marks.set(ids, mark, at);
    if (before === mark) return;
    if (before !== 0) this.#flip(markItem(ids, at, before));
    if (mark !== 0) this.#flip(markItem(ids, at, mark));
  }

  #setToken(ids: Uint8Array, at: number, revoked: 0 | 1): void {
    if (this.#tokens.set(ids, revoked, at) === revoked) return;
    scratch[0] = itemKind.token;
    scratch.set(ids.subarray(at, at + 16), 1);
    this.#flip(scratch.subarray(0, 17));
  }

  #setSigningKeys(keys: readonly PublishedSigningKey[]): void {
    for (const key of this.#signingKeys) this.#flip(signingKeyItem(key));
    for (const key of keys) this.#flip(signingKeyItem(key));
    this.#signingKeys = keys;
  }

  #setAudienceKeys(keys: readonly AudienceKeyItem[]): void {
    for (const key of this.#audienceKeys) this.#flip(audienceKeyItem(key));
    for (const key of keys) this.#flip(audienceKeyItem(key));
    this.#audienceKeys = keys;
  }

  #setIssuedBefore(timeMs: number): void {
    if (this.#issuedBeforeMs !== 0) this.#flip(issuedBeforeItem(this.#issuedBeforeMs));
    this.#issuedBeforeMs = timeMs;
    if (timeMs !== 0) this.#flip(issuedBeforeItem(timeMs));
  }

  /** Puts an item into the digest, or takes it out. */
  #flip(item: Uint8Array): void {
    // As text of one byte a character: to make a buffer costs five times as much as the hash.
    const sum = hash("sha256", item, "binary");
    for (let i = 0; i < 32; i++) this.#digest[i] = (this.#digest[i] as number) ^ sum.charCodeAt(i);
  }
}

function* partsOf(marks: IdTable, tokens: IdTable, rest: Partial<KeySetDelta>, idsMax: number): Generator<KeySetDelta> {
  for (let place: Place = { mark: 0, token: 0 }; ; ) {
    const marked = marks.entriesFrom(place.mark, idsMax);
    const revoked = tokens.entriesFrom(place.token, idsMax - marked.values.length);
    const part = { ...emptyDelta, markedKeys: marked.ids, marks: marked.values, revokedTokens: revoked.ids };
    if (marked.next === undefined && revoked.next === undefined) return yield { ...part, ...rest };
    yield part;
    place = { mark: marked.next ?? Number.MAX_SAFE_INTEGER, token: revoked.next ?? Number.MAX_SAFE_INTEGER };
  }
}

interface Place {
  readonly mark: number;
  readonly token: number;
}

function markItem(ids: Uint8Array, at: number, mark: number): Uint8Array {
  scratch[0] = itemKind.key;
  scratch.set(ids.subarray(at, at + 16), 1);
  scratch.writeUInt32BE(mark, 17);
  return scratch.subarray(0, 21);
}

function signingKeyItem({ kid, state, publicJwk }: PublishedSigningKey): Uint8Array {
  return Buffer.concat([
    Uint8Array.of(itemKind.signingKey),
    Buffer.from(`${kid}\0${state}\0${canonicalJson(publicJwk)}`),
  ]);
}

function issuedBeforeItem(timeMs: number): Uint8Array {
  return Buffer.concat([Uint8Array.of(itemKind.issuedBefore), uint64(timeMs)]);
}

function audienceKeyItem({ audience, masterId, generation, key, endTimeMs = 0 }: AudienceKeyItem): Uint8Array {
  const names = Buffer.from(`${audience}\0${masterId}\0`);
  return Buffer.concat([Uint8Array.of(itemKind.audienceKey), names, uint64(generation), key, uint64(endTimeMs)]);
}

function uint64(value: number): Uint8Array {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(BigInt(value));
  return bytes;
}
