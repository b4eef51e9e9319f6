import { createHash, generateKeyPairSync, randomBytes, sign } from "node:crypto";
import type { WatchKeySetResponse } from "../../gen/ichor/v1/key_set_pb.ts";
import { contentHashOf } from "../../services/core/key-set/content-hash.ts";
import { feedKeyId, handoverBytes } from "../../services/core/key-set/feed-key.ts";
import { feedStatementBytes } from "../../services/core/key-set/feed-statement.ts";
import { keySetItemsFromProto } from "../../services/wire/key-set.ts";
import { fromTimestamp } from "../../services/wire/time.ts";

/** Somebody who hands on a feed and has a key of his own: signs whatever he likes, as a server would. */
export class FeedForger {
  readonly #privateKey = generateKeyPairSync("ed25519").privateKey;
  readonly publicKey = Buffer.from(this.#privateKey.export({ format: "jwk" }).x ?? "", "base64url");
  readonly feedKeyId = feedKeyId(this.publicKey);
  #identity = { issuer: "", tenantId: "" };
  #storeEpoch = "";

  /** Remembers what an honest event says that isn't in every later one. */
  hears({ event }: WatchKeySetResponse): void {
    if (event.case === "subscribed") this.#identity = event.value;
    if (event.case === "snapshotBegin") this.#storeEpoch = event.value.storeEpoch;
  }

  /** Signs a delta or heartbeat as it is now. */
  resign(response: WatchKeySetResponse): void {
    const { event } = response;
    if (event.case !== "delta" && event.case !== "heartbeat") return;
    const { feed, prevRevision, revision, hash, digest, asOf } = event.value;
    const items = event.case === "delta" ? event.value.items : undefined;
    const place = { ...this.#identity, storeEpoch: this.#storeEpoch, feed, prevRevision, revision, hash, digest };
    const asOfMs = (asOf && fromTimestamp(asOf)) ?? 0;
    const contentHash = contentHashOf(items && keySetItemsFromProto(items));
    const statement = feedStatementBytes({ ...place, kind: event.case, asOfMs, contentHash });
    response.signature = sign(null, statement, this.#privateKey);
    response.feedKeyId = this.feedKeyId;
  }

  /** His key as one that the other has handed over to: by a signature of his own, since he has no other. */
  asSuccessorOf(predecessorId: string) {
    const predecessorSignature = sign(null, handoverBytes(this.publicKey), this.#privateKey);
    return { publicKey: this.publicKey, predecessorId, predecessorSignature };
  }
}

/**
 * Finds ids of tokens whose items have together the same XOR of SHA-256s as one item: the digest of a feed then doesn't tell
 * that it was left out. Gaussian elimination over GF(2), some 300 unknowns for 256 equations.
 */
export function collidingTokens(item: Uint8Array): readonly Uint8Array[] {
  const hashOf = (bytes: Uint8Array) => BigInt(`0x${createHash("sha256").update(bytes).digest("hex")}`);
  const ids = Array.from({ length: 300 }, () => randomBytes(16));
  /** By its highest bit: what a set of the ids comes to, and which. */
  const basis = new Map<number, { readonly value: bigint; readonly members: bigint }>();
  const reduce = (value: bigint, members: bigint) => {
    let left = value;
    let used = members;
    for (let bit = 255; bit >= 0; bit--) {
      if (((left >> BigInt(bit)) & 1n) === 0n) continue;
      const known = basis.get(bit);
      if (known === undefined) return { bit, value: left, members: used };
      left ^= known.value;
      used ^= known.members;
    }
    return { bit: -1, value: left, members: used };
  };
  ids.forEach((id, i) => {
    const { bit, ...rest } = reduce(hashOf(Buffer.concat([Uint8Array.of(2), id])), 1n << BigInt(i));
    if (bit >= 0) basis.set(bit, rest);
  });
  const solved = reduce(hashOf(item), 0n);
  if (solved.bit >= 0) throw new Error("the hashes span too little: once in 2^44");
  return ids.filter((_, i) => ((solved.members >> BigInt(i)) & 1n) === 1n);
}
