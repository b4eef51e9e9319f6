import { generateKeyPairSync, sign } from "node:crypto";
import { describe, expect, it } from "vitest";
import { contentHashOf } from "../../../services/core/key-set/content-hash.ts";
import { type FeedKey, feedKeyId, handoverBytes } from "../../../services/core/key-set/feed-key.ts";
import { feedStatementBytes } from "../../../services/core/key-set/feed-statement.ts";
import { EventRefused, FeedTrust } from "../../../services/verifier/feed-trust.ts";

const identity = { issuer: "https://keys.example", tenantId: "ten_1" };

/** A feed key, and what it may sign. */
class Key {
  readonly #privateKey = generateKeyPairSync("ed25519").privateKey;
  readonly publicKey = Buffer.from(this.#privateKey.export({ format: "jwk" }).x ?? "", "base64url");
  readonly id = feedKeyId(this.publicKey);

  /** As it is told, handed over by another if one is given. */
  told(predecessor?: Key, signer = predecessor): FeedKey {
    if (predecessor === undefined || signer === undefined) return { publicKey: this.publicKey };
    const signature = sign(null, handoverBytes(this.publicKey), signer.#privateKey);
    return { publicKey: this.publicKey, handover: { predecessorId: predecessor.id, signature } };
  }

  /** What it says, checked by a trust. */
  says(trust: FeedTrust, fields: { readonly asOfMs?: number; readonly feed?: string } = {}, as = identity): void {
    const statement = { ...heartbeat, ...fields };
    const signature = sign(null, feedStatementBytes({ ...statement, ...as }), this.#privateKey);
    trust.check({ signature, feedKeyId: this.id }, statement);
  }
}

const hash = new Uint8Array(32);
const heartbeat = {
  ...({
    kind: "heartbeat",
    feed: "public",
    storeEpoch: "e",
    prevRevision: 1n,
    revision: 1n,
    hash,
    digest: hash,
  } as const),
  ...{ asOfMs: 1_000_000, contentHash: contentHashOf() },
};

const [a, b, c, stranger] = [new Key(), new Key(), new Key(), new Key()];

function trusting(feedKeys: readonly string[] | "learn", issuer: string | undefined = identity.issuer): FeedTrust {
  const trust = new FeedTrust({ feedKeys, issuer });
  trust.begin(identity);
  return trust;
}

describe("trust in feed keys", () => {
  it("goes from a pinned key to those that follow it, however many, also if none of them is pinned", () => {
    const trust = trusting([a.id]);
    trust.take([a.told(), b.told(a), c.told(b)]);
    c.says(trust);
    expect(trust.signedBy).toBe(c.id);
    expect(() => stranger.says(trust)).toThrow(EventRefused);
  });

  it("goes to nobody who only says that he follows", () => {
    const trust = trusting([a.id]);
    trust.take([a.told(), stranger.told(a, stranger), stranger.told()]);
    expect(() => stranger.says(trust)).toThrow("isn't believed");
    a.says(trust);
  });

  it("leaves a key once its successor has signed, and all before it, whatever is told then", () => {
    const trust = trusting([a.id]);
    trust.take([a.told(), b.told(a), c.told(b)]);
    a.says(trust);
    b.says(trust);
    expect(() => a.says(trust)).toThrow("isn't believed");
    trust.take([a.told(), stranger.told(a)]);
    expect(() => a.says(trust)).toThrow("isn't believed");
    expect(() => stranger.says(trust)).toThrow("isn't believed");
    c.says(trust);
    expect(() => b.says(trust)).toThrow("isn't believed");
  });

  it("leaves it also if somebody leaves out who followed whom", () => {
    const trust = trusting([a.id]);
    trust.take([a.told(), b.told(a)]);
    trust.take([a.told(), b.told()]);
    b.says(trust);
    expect(() => a.says(trust)).toThrow("isn't believed");
    const told = trusting([a.id]);
    told.take([...trust.known]);
    b.says(told);
  });

  it("isn't taken from a key by who tells that it is its own successor's successor", () => {
    const trust = trusting([a.id, b.id]);
    // The first signature is none; then both are right, in a ring.
    trust.take([a.told(b, stranger), b.told()]);
    a.says(trust);
    b.says(trust);
    const ring = trusting([a.id, b.id]);
    ring.take([a.told(), b.told(a), a.told(b)]);
    b.says(ring);
    expect(() => a.says(ring)).toThrow("isn't believed");
    b.says(ring);
  });

  it("is learned from what is told first, and from nothing later", () => {
    const trust = trusting("learn", undefined);
    expect(() => a.says(trust)).toThrow("isn't believed");
    trust.take([a.told(), b.told(a)]);
    trust.take([stranger.told()]);
    expect(() => stranger.says(trust)).toThrow("isn't believed");
    a.says(trust);
    b.says(trust);
    expect(() => trust.begin({ ...identity, issuer: "https://other.example" })).toThrow(
      "of issuer https://other.example",
    );
    expect(() => trust.begin({ ...identity, tenantId: "ten_2" })).toThrow("another tenant");
  });

  it("goes on from what it knew, and only by a key that it still believes", () => {
    const before = trusting("learn", undefined);
    before.take([a.told(), b.told(a)]);
    b.says(before);
    before.take([stranger.told()]);
    const after = trusting("learn", undefined);
    after.take(before.known);
    after.accept(before.signedBy);
    expect(() => a.says(after)).toThrow("isn't believed");
    expect(() => stranger.says(after)).toThrow("isn't believed");
    b.says(after);
    expect(() => trusting([c.id]).accept(b.id)).toThrow(EventRefused);
    expect(() => trusting([c.id]).accept("")).toThrow(EventRefused);
  });

  it("is for the stream's issuer and tenant", () => {
    const trust = trusting([a.id]);
    trust.take([a.told()]);
    expect(() => a.says(trust, {}, { ...identity, tenantId: "ten_2" })).toThrow("is wrong");
    expect(() => a.says(trust, {}, { ...identity, issuer: "https://other.example" })).toThrow("is wrong");
    expect(() => trust.begin({ ...identity, issuer: "https://other.example" })).toThrow(EventRefused);
  });

  it("isn't in what goes back in time by more than clocks may differ, feed by feed and stream by stream", () => {
    const trust = trusting([a.id]);
    trust.take([a.told()]);
    a.says(trust);
    a.says(trust, { asOfMs: heartbeat.asOfMs - 5_000 });
    expect(() => a.says(trust, { asOfMs: heartbeat.asOfMs - 5_001 })).toThrow("older than what came before");
    a.says(trust, { feed: "aud:x", asOfMs: 1 });
    trust.begin(identity);
    a.says(trust, { asOfMs: 1 });
  });

  it("takes no more keys than a server tells, and none that is none", () => {
    const trust = trusting([a.id]);
    expect(() => trust.take(Array(65).fill(a.told()))).toThrow(EventRefused);
    expect(() => trust.take([{ publicKey: new Uint8Array(33) }])).toThrow(EventRefused);
  });
});
