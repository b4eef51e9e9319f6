import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { DerivationService } from "../../../gen/ichor/v1/derivation_service_pb.ts";
import { OnStale, ResyncReason } from "../../../gen/ichor/v1/key_set_pb.ts";
import { idBytes, idFromBytes, type KeyId } from "../../../services/core/ids.ts";
import { keySetItemsFromProto } from "../../../services/wire/key-set.ts";
import { documented, reasonOfRejection } from "../../support/documented.ts";
import { startTestApp, type TestApp } from "../../support/test-app.ts";
import { derive, issueKey } from "../../support/tokens.ts";
import { SimpleFollower, type Watch, watch } from "../../support/watch.ts";

let t: TestApp;
const open: Watch[] = [];
beforeAll(async () => {
  t = await startTestApp();
});
afterAll(async () => {
  for (const stream of open) stream.close();
  await t.close();
});

const begin = (...args: Parameters<typeof watch> extends [TestApp, ...infer R] ? R : never): Watch => {
  const stream = watch(t, ...args);
  open.push(stream);
  return stream;
};

/** Reads until the snapshot of the feed `public` is complete. */
async function synced(stream: Watch): Promise<SimpleFollower> {
  const follower = new SimpleFollower();
  while (!follower.synced) follower.take(await stream.next());
  return follower;
}

async function resumePoint(follower: SimpleFollower) {
  const { storeEpoch } = await t.app.store.head();
  return { feed: "public", storeEpoch, revision: follower.revision, hash: follower.hash };
}

describe("WatchKeySet", () => {
  it("begins with who is followed, then a snapshot with the tenant's signing keys", async () => {
    const stream = begin();
    const subscribed = await stream.next();
    expect(subscribed).toMatchObject({
      case: "subscribed",
      value: { issuer: "https://ichor.example" },
    });
    const follower = await synced(stream);
    const { revision, storeEpoch } = await t.app.store.head();
    expect(follower).toMatchObject({ revision, storeEpoch });
    const jwks = await t.client(DerivationService).getKeySet({});
    expect(follower.state.signingKeys.map(({ kid }) => kid).sort()).toEqual(
      jwks.signingKeys.map(({ kid }) => kid).sort(),
    );
  });

  it("tells each revocation, suspension and raised epoch once, with the digest after it", async () => {
    const stream = begin();
    const follower = await synced(stream);
    const { keyId, credential } = await issueKey(t, { scopes: ["a"] });
    const { tokenId } = await derive(t, credential, { scopes: ["a"] });
    const mark = () => follower.state.markOf(idBytes(keyId as KeyId));
    const step = async (change: () => Promise<unknown>) => {
      await change();
      let event = await stream.next();
      for (; event.case === "heartbeat"; event = await stream.next()) follower.take(event);
      follower.take(event);
    };
    await step(() => t.admin().disableApiKey({ keyId }));
    expect(mark()).toBe(2 ** 30);
    await step(() => t.admin().enableApiKey({ keyId }));
    expect(mark()).toBe(0);
    await step(() => t.admin().rotateApiKey({ keyId, gracePeriod: { seconds: 0n, nanos: 0 } }));
    expect(mark()).toBe(1);
    await step(() => t.admin().revokeToken({ target: { case: "tokenRef", value: { keyId, tokenId } } }));
    expect(follower.state.tokenCount).toBe(1);
    await step(() => t.admin().revokeToken({ target: { case: "keyId", value: keyId } }));
    expect(mark()).toBe(2);
    await step(() => t.admin().revokeApiKey({ keyId }));
    expect(mark()).toBe(2 ** 31 + 2);
    await step(() => t.admin().rotateSigningKey({ force: true }));
    expect(follower.state.signingKeys.map(({ state }) => state).sort()).toEqual(["ACTIVE", "NEXT", "RETIRED"]);
    const before = { seconds: BigInt(Math.floor(t.clock.now() / 1000)), nanos: 0 };
    await step(() => t.admin().revokeToken({ target: { case: "issuedBefore", value: before } }));
    expect(follower.state.issuedBeforeMs).toBe(Number(before.seconds) * 1000);
  });

  it("keeps telling of a revoked key that is deleted", async () => {
    const { keyId } = await issueKey(t);
    await t.admin().revokeApiKey({ keyId });
    await t.admin().deleteApiKey({ keyId });
    const follower = await synced(begin());
    expect(follower.state.markOf(idBytes(keyId as KeyId))).toBe(2 ** 31);
  });

  it("names changed keys to caches, and says nothing of new ones", async () => {
    const stream = begin();
    await synced(stream);
    const { keyId } = await issueKey(t);
    await t.admin().rotateApiKey({ keyId });
    const { items } = await stream.until("delta");
    const delta = items && keySetItemsFromProto(items);
    expect(delta && idFromBytes("key", delta.changedKeys)).toBe(keyId);
    expect(delta?.marks).toEqual([]);
  });

  it("brings who resumes up to date by one delta", async () => {
    const first = begin();
    const follower = await synced(first);
    first.close();
    const keys = await Promise.all([issueKey(t), issueKey(t), issueKey(t)]);
    for (const { keyId } of keys) await t.admin().revokeApiKey({ keyId });
    const second = begin({ resume: [await resumePoint(follower)] });
    expect((await second.next()).case).toBe("subscribed");
    expect((await second.next()).case).toBe("feedKeys");
    const event = await second.next();
    expect(event.case).toBe("delta");
    follower.take(event);
    for (const { keyId } of keys) expect(follower.state.markOf(idBytes(keyId as KeyId))).toBe(2 ** 31);
    follower.take(await second.next());
    expect(follower.revision).toBe((await t.app.store.head()).revision);
  });

  it.each([
    ["another epoch", { storeEpoch: "0".repeat(32) }, ResyncReason.OTHER_HISTORY],
    ["another hash", { hash: new Uint8Array(32) }, ResyncReason.OTHER_HISTORY],
    ["the future", { revision: 1_000_000n }, ResyncReason.AHEAD],
  ])("makes who resumes from %s begin anew", async (_, wrong, reason) => {
    const point = await resumePoint(await synced(begin()));
    const stream = begin({ resume: [{ ...point, ...wrong }] });
    const resync = await stream.until("resyncRequired");
    expect(resync).toMatchObject({ reason, snapshotFollows: true });
    expect((await synced(stream)).revision).toBe((await t.app.store.head()).revision);
  });

  it("makes who resumes from below what was erased begin anew, at a server that doesn't have it in memory", async () => {
    const first = begin();
    const point = await resumePoint(await synced(first));
    for (let i = 0; i < 3; i++) await issueKey(t);
    await t.app.store.compactChanges(Number.MAX_SAFE_INTEGER, 1_000);
    const other = await startTestApp({}, t);
    const stream = watch(other, { resume: [point] });
    expect(await stream.until("resyncRequired")).toMatchObject({
      reason: ResyncReason.COMPACTED,
      snapshotFollows: true,
    });
    expect((await synced(stream)).revision).toBe((await t.app.store.head()).revision);
    stream.close();
    await other.close();
  });

  it("gives an audience's root keys only to who may verify for it", async () => {
    const audience = "https://api.example";
    const stream = begin({ audiences: [audience] });
    await synced(stream);
    const { items } = await stream.until("snapshotItems");
    const keys = await t.client(DerivationService).getKeySet({ audiences: [audience] });
    expect(items?.audienceKeys?.keys.map(({ key }) => Buffer.from(key).toString("hex"))).toEqual(
      keys.audienceKeys.map(({ key }) => Buffer.from(key).toString("hex")),
    );
    await stream.until("snapshotEnd");
    await t.admin().rotateAudienceKey({ audience });
    const delta = await stream.until("delta");
    expect(delta.feed).toBe(`aud:${audience}`);
    expect(delta.items?.audienceKeys?.keys.map(({ generation }) => generation)).toContain(2n);
    const watcher = await issueKey(t, { scopes: ["ichor:keyset:watch"] });
    expect(await reasonOfRejection(begin({ audiences: [audience] }, watcher.credential).next())).toBe("SCOPE_MISSING");
  });

  it("cuts off a subscriber whose credential is revoked, disabled, or loses its scope", async () => {
    const watcher = await issueKey(t, { scopes: ["ichor:keyset:watch"] });
    const stream = begin({}, watcher.credential);
    await synced(stream);
    await t.admin().revokeApiKey({ keyId: watcher.keyId });
    expect(await reasonOfRejection(stream.rest())).toBe("CREDENTIAL_REFUSED");
  });

  it("lists who follows", async () => {
    const watcher = await issueKey(t, { scopes: ["ichor:keyset:watch"] });
    const stream = begin(
      { clientVersion: "test/1", maxStaleness: { seconds: 60n, nanos: 0 }, onStale: OnStale.ALLOW },
      watcher.credential,
    );
    const { subscriptionId } = await stream.until("subscribed");
    const { revision } = await synced(stream);
    await t.client(DerivationService, watcher.credential).ackKeySet({ subscriptionId, feed: "public", revision });
    const pages = await t.admin().listSubscribers({ pageSize: 1 });
    expect(pages.nextPageToken).not.toBe("");
    const all = await t.admin().listSubscribers({ pageSize: 1000 });
    expect(all.subscribers.find(({ id }) => id === subscriptionId)).toMatchObject({
      keyId: watcher.keyId,
      feeds: ["public"],
      clientVersion: "test/1",
      maxStaleness: { seconds: 60n },
      ackedRevision: revision,
    });
  });

  documented("WatchKeySet", "INVALID_FIELD", () => begin({ audiences: ["not an audience"] }).next());
  documented("WatchKeySet", "SCOPE_MISSING", async () => begin({}, (await issueKey(t)).credential).next());
  documented("WatchKeySet", "CREDENTIAL_REFUSED", () => begin({}, "ichor_sk_nonsense").next());
  it.each([
    ["max_staleness", { maxStaleness: { seconds: 0n, nanos: 1 } }],
    ["on_stale", { onStale: 9 as OnStale }],
    ["client_version", { clientVersion: "x".repeat(129) }],
    ["previous_subscription_id", { previousSubscriptionId: "sub_1" }],
    ["resume[0].feed", { resume: [{ feed: "aud:x", storeEpoch: "0".repeat(32), hash: new Uint8Array(32) }] }],
    ["resume[0].hash", { resume: [{ feed: "public", storeEpoch: "0".repeat(32), hash: new Uint8Array(31) }] }],
    ["resume[0].store_epoch", { resume: [{ feed: "public", storeEpoch: "x", hash: new Uint8Array(32) }] }],
  ])("refuses a bad %s", async (_field, request) => {
    expect(await reasonOfRejection(begin(request).next())).toBe("INVALID_FIELD");
  });
});

describe("AckKeySet", () => {
  const ack = (fields: object, credential?: string) =>
    t.client(DerivationService, credential).ackKeySet({ feed: "public", revision: 1n, ...fields });

  documented("AckKeySet", "INVALID_FIELD", () => ack({ subscriptionId: "nonsense" }));
  documented("AckKeySet", "SUBSCRIPTION_NOT_FOUND", async () => {
    const { subscriptionId } = await begin().until("subscribed");
    const other = await issueKey(t, { scopes: ["ichor:keyset:watch"] });
    return ack({ subscriptionId }, other.credential);
  });

  it("refuses a feed that isn't followed, and a revision of the future", async () => {
    const { subscriptionId } = await begin().until("subscribed");
    expect(await reasonOfRejection(ack({ subscriptionId, feed: "aud:x" }))).toBe("SUBSCRIPTION_NOT_FOUND");
    expect(await reasonOfRejection(ack({ subscriptionId, revision: 1_000_000n }))).toBe("INVALID_FIELD");
  });
});

describe("ListSubscribers", () => {
  documented("ListSubscribers", "INVALID_FIELD", () => t.admin().listSubscribers({ pageToken: "nonsense" }));
});
