import type { Change, KeyEvent, PublishedSigningKey } from "../change.ts";
import { type Id, idBytes } from "../ids.ts";
import type { AudienceKey } from "../macaroon/audience-key.ts";
import { markAfter, markNumber, readMark } from "./key-mark.ts";

/** A root key of an audience's macaroons, as verifiers know it. */
export interface AudienceKeyItem {
  readonly audience: string;
  readonly masterId: string;
  readonly generation: number;
  /** 32 bytes; never logged. */
  readonly key: AudienceKey;
  /** From when on its macaroons are refused, ms since the epoch; absent: none is planned. */
  readonly endTimeMs?: number | undefined;
}

/**
 * What changes in a key set, as values of afterwards, so that applying it twice does no harm. Ids are
 * packed: 16 bytes each, one after the other.
 */
export interface KeySetDelta {
  /** Keys whose mark changes. */
  readonly markedKeys: Uint8Array;
  /** Their marks, see key-mark.ts; 0 removes. */
  readonly marks: readonly number[];
  /** Tokens that are revoked from now on; their ids are unique. */
  readonly revokedTokens: Uint8Array;
  /** Tokens that needn't be remembered any more, likewise. */
  readonly forgottenTokens: Uint8Array;
  /** All keys of JWTs that are trusted from now on; absent: as before. */
  readonly signingKeys?: readonly PublishedSigningKey[];
  /** Absent: as before. */
  readonly tenantDisabled?: boolean;
  /** Derived tokens issued before are dead, ms since the epoch; absent: as before. */
  readonly issuedBeforeMs?: number;
  /** All root keys of the feed's audience from now on; absent: as before. */
  readonly audienceKeys?: readonly AudienceKeyItem[];
  /** Keys whose records changed in another way: what caches of them must drop. */
  readonly changedKeys: Uint8Array;
  /** Whether keys were imported: a credential that wasn't found may be one now. */
  readonly imported: boolean;
}

const none = new Uint8Array(0);

/** A delta that changes nothing. */
export const emptyDelta: KeySetDelta = {
  markedKeys: none,
  marks: [],
  revokedTokens: none,
  forgottenTokens: none,
  changedKeys: none,
  imported: false,
};

/**
 * Gives what an entry of the log changes in the public key set of its tenant; undefined: nothing.
 *
 * @param markOf the present mark of a key, by the 16 bytes of its id
 */
export function deltaOf(
  change: Change,
  commitTimeMs: number,
  markOf: (keyId: Uint8Array) => number,
): KeySetDelta | undefined {
  switch (change.kind) {
    case "key":
      return keyDelta(change, commitTimeMs, markOf);
    case "tenant":
      return tenantDelta(change);
    case "signing_key":
      return { ...emptyDelta, signingKeys: change.published };
    case "token": {
      const tokens = packIds(change.tokens.map(({ tokenId }) => tokenId));
      return { ...emptyDelta, [change.event === "revoked" ? "revokedTokens" : "forgottenTokens"]: tokens };
    }
    default:
      return undefined;
  }
}

/**
 * Gives a delta in parts of at most so many ids of each kind, so that other work can be done between them: applied in
 * turn they make what it makes.
 */
export function* splitDelta(delta: KeySetDelta, idsMax: number): Generator<KeySetDelta> {
  const { markedKeys, marks, revokedTokens, forgottenTokens, ...rest } = delta;
  const count = Math.max(marks.length, revokedTokens.length / 16, forgottenTokens.length / 16);
  if (count <= idsMax) return yield delta;
  for (let from = 0; from < count; from += idsMax) {
    const to = from + idsMax;
    const part = (ids: Uint8Array) => ids.subarray(from * 16, to * 16);
    yield {
      ...emptyDelta,
      markedKeys: part(markedKeys),
      marks: marks.slice(from, to),
      revokedTokens: part(revokedTokens),
      forgottenTokens: part(forgottenTokens),
    };
  }
  yield { ...emptyDelta, ...rest };
}

/** Gives what several deltas change together, in their order. */
export function mergeDeltas(deltas: readonly KeySetDelta[]): KeySetDelta {
  const marks = new Map<string, number>();
  const tokens = new Map<string, boolean>();
  const changed = new Set<string>();
  for (const delta of deltas) {
    delta.marks.forEach((mark, i) => void marks.set(nameAt(delta.markedKeys, i), mark));
    for (const name of namesIn(delta.revokedTokens)) tokens.set(name, true);
    for (const name of namesIn(delta.forgottenTokens)) tokens.set(name, false);
    for (const name of namesIn(delta.changedKeys)) changed.add(name);
  }
  const tokensThat = (revoked: boolean) => [...tokens].filter(([, value]) => value === revoked).map(([name]) => name);
  const last = Object.assign({}, ...deltas.map(onceOnly)) as Pick<
    KeySetDelta,
    "signingKeys" | "tenantDisabled" | "issuedBeforeMs"
  >;
  return {
    ...last,
    markedKeys: bytesOfNames([...marks.keys()]),
    marks: [...marks.values()],
    revokedTokens: bytesOfNames(tokensThat(true)),
    forgottenTokens: bytesOfNames(tokensThat(false)),
    changedKeys: bytesOfNames([...changed]),
    imported: deltas.some(({ imported }) => imported),
  };
}

/** Whether the event makes keys: there was nothing to know of them before. */
export function makesKeys(event: KeyEvent): boolean {
  return event === "issued" || event === "imported";
}

/** Gives the ids' bytes, one after the other. */
export function packIds(ids: readonly Id[]): Uint8Array {
  const bytes = new Uint8Array(ids.length * 16);
  ids.forEach((id, i) => void bytes.set(idBytes(id), i * 16));
  return bytes;
}

function keyDelta(
  { event, keyIds, tokenEpoch }: Extract<Change, { kind: "key" }>,
  commitTimeMs: number,
  markOf: (keyId: Uint8Array) => number,
): KeySetDelta | undefined {
  if (makesKeys(event)) return event === "imported" ? { ...emptyDelta, imported: true } : undefined;
  const ids = packIds(keyIds);
  const marked: Uint8Array[] = [];
  const marks: number[] = [];
  for (let i = 0; i < keyIds.length; i++) {
    const id = ids.subarray(i * 16, i * 16 + 16);
    const before = markOf(id);
    const mark = markAfter(before === 0 ? undefined : readMark(before), event, tokenEpoch, commitTimeMs);
    const after = mark === undefined ? 0 : markNumber(mark);
    if (after === before) continue;
    marked.push(id);
    marks.push(after);
  }
  if (event === "forgotten" && marks.length === 0) return undefined;
  return { ...emptyDelta, markedKeys: concat(marked), marks, changedKeys: event === "forgotten" ? none : ids };
}

function tenantDelta({ event, tokensIssuedBeforeMs }: Extract<Change, { kind: "tenant" }>): KeySetDelta | undefined {
  if (event === "disabled" || event === "enabled") return { ...emptyDelta, tenantDisabled: event === "disabled" };
  return tokensIssuedBeforeMs === undefined ? undefined : { ...emptyDelta, issuedBeforeMs: tokensIssuedBeforeMs };
}

function onceOnly({ signingKeys, tenantDisabled, issuedBeforeMs }: KeySetDelta): object {
  return {
    ...(signingKeys !== undefined && { signingKeys }),
    ...(tenantDisabled !== undefined && { tenantDisabled }),
    ...(issuedBeforeMs !== undefined && { issuedBeforeMs }),
  };
}

/** Packed ids as texts of one byte a character: keys of a Map. */
function namesIn(packed: Uint8Array): readonly string[] {
  return Array.from({ length: packed.length / 16 }, (_, i) => nameAt(packed, i));
}

function nameAt(packed: Uint8Array, index: number): string {
  return Buffer.from(packed.buffer, packed.byteOffset + index * 16, 16).toString("latin1");
}

function bytesOfNames(names: readonly string[]): Uint8Array {
  return Buffer.from(names.join(""), "latin1");
}

function concat(parts: readonly Uint8Array[]): Uint8Array {
  return parts.length === 0 ? none : Buffer.concat(parts);
}
