import { join } from "node:path";
import { Code, ConnectError } from "@connectrpc/connect";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { AdminService } from "../../../gen/ichor/v1/admin_service_pb.ts";
import { TokenFormat } from "../../../gen/ichor/v1/api_key_pb.ts";
import { DerivationService } from "../../../gen/ichor/v1/derivation_service_pb.ts";
import { OnStale, ResyncReason } from "../../../gen/ichor/v1/key_set_pb.ts";
import { SelfService } from "../../../gen/ichor/v1/self_service_pb.ts";
import { idBytes, type KeyId } from "../../../services/core/ids.ts";
import { documented, reasonOfRejection } from "../../support/documented.ts";
import { followerCredential, startTestRelay, type TestRelay, watchRelay } from "../../support/relay.ts";
import { temporaryFolder } from "../../support/server-process.ts";
import { sidecarScopes, startTestSidecar } from "../../support/sidecar.ts";
import { insertTenant, startTestApp, type TestApp } from "../../support/test-app.ts";
import { derive, issueKey, testAudience } from "../../support/tokens.ts";
import { startTestVerifier } from "../../support/verifier.ts";
import { SimpleFollower, type Watch } from "../../support/watch.ts";

let t: TestApp;
let relay: TestRelay;
let credential: string;
const open: { close(): unknown }[] = [];
beforeAll(async () => {
  t = await startTestApp();
  credential = await followerCredential(t);
});
afterAll(() => t.close());
beforeEach(async () => {
  relay = await startTestRelay(t);
});
afterEach(async () => {
  for (const one of open.splice(0)) await one.close();
  await relay.close();
  // Whoever has followed refuses by itself by now.
  t.clock.advance(31_000);
});

const closing = <T extends { close(): unknown }>(one: T): T => {
  open.push(one);
  return one;
};
const follow = (...[request, own = credential, headers]: [object?, string?, Record<string, string>?]): Watch =>
  closing(watchRelay(relay, own, request, headers));

const seconds = (count: number) => ({ seconds: BigInt(count), nanos: 0 });
const revoked = 2 ** 31;

async function revokeOne(wait?: number) {
  const { keyId } = await issueKey(t);
  const answer = await t.admin().revokeApiKey({ keyId, ...(wait !== undefined && { wait: seconds(wait) }) });
  return { keyId: keyId as KeyId, ...answer };
}

/** Resolves once a relay has come to a revision. */
async function heard(revision: bigint, by = relay): Promise<void> {
  await expect.poll(() => by.hub.position?.revision ?? 0n, { interval: 1 }).toBeGreaterThanOrEqual(revision);
}

async function synced(stream: Watch, revision = 0n): Promise<SimpleFollower> {
  const follower = new SimpleFollower();
  while (!follower.synced || follower.revision < revision) follower.take(await stream.next());
  return follower;
}

const pointOf = ({ storeEpoch, revision, hash }: SimpleFollower) => ({ feed: "public", storeEpoch, revision, hash });

describe("who follows a relay", () => {
  it("verifies as who follows the server, and learns of a revocation", async () => {
    const { verifier, applied } = await startTestVerifier(t, { transport: relay.transport });
    closing(verifier);
    const key = await issueKey(t, { scopes: ["a"] });
    for (const format of [TokenFormat.JWT, TokenFormat.MACAROON]) {
      const { token } = await derive(t, key.credential, { scopes: ["a"], format });
      expect(await verifier.verify(token, { scopes: ["a"] })).toMatchObject({ valid: true, keyId: key.keyId });
    }
    const { token } = await derive(t, key.credential, { scopes: ["a"] });
    const { revision } = await t.admin().revokeApiKey({ keyId: key.keyId });
    await applied(revision);
    expect((await verifier.verify(token)).code).toBe("REVOKED");
  });

  it("gets all of it however late it comes, and then each change once", async () => {
    const before = await Promise.all(Array.from({ length: 20 }, () => revokeOne()));
    const last = (await revokeOne()).revision;
    await heard(last);
    const stream = follow();
    const follower = await synced(stream, last);
    for (const { keyId } of before) expect(follower.state.markOf(idBytes(keyId))).toBe(revoked);
    const next = await revokeOne();
    while (follower.revision < next.revision) follower.take(await stream.next());
    expect(follower.state.markOf(idBytes(next.keyId))).toBe(revoked);
  });

  it("isn't made to trust for longer what it knows by what the relay repeats", async () => {
    const { revision } = await revokeOne();
    await heard(revision);
    const stream = follow();
    const { revision: upTo } = await stream.until("catchUp");
    expect(upTo).toBeGreaterThanOrEqual(revision);
  });

  it("goes on from where it was, if the relay was told of that", async () => {
    const point = pointOf(await synced(follow()));
    const missed = await revokeOne();
    await heard(missed.revision);
    const stream = follow({ resume: [point] });
    const kinds: (string | undefined)[] = [];
    for (let found = false; !found; ) {
      const event = await stream.next();
      kinds.push(event.case);
      found = event.case === "delta" && event.value.revision === missed.revision;
    }
    expect(kinds.slice(0, 3)).toEqual(["subscribed", "feedKeys", "catchUp"]);
    expect(kinds).not.toContain("snapshotBegin");
  });

  it.each([
    ["another epoch", { storeEpoch: "0".repeat(32) }, ResyncReason.OTHER_HISTORY],
    ["another hash", { hash: new Uint8Array(32) }, ResyncReason.OTHER_HISTORY],
    ["below what is kept", { revision: 1n }, ResyncReason.COMPACTED],
  ])("begins anew if it resumes from %s", async (_, wrong, reason) => {
    const point = pointOf(await synced(follow()));
    const stream = follow({ resume: [{ ...point, ...wrong }] });
    expect(await stream.until("resyncRequired")).toMatchObject({ reason, snapshotFollows: true });
    expect((await synced(stream)).revision).toBeGreaterThanOrEqual(point.revision);
  });

  it("begins anew if it resumes from what the relay doesn't hear of in a second", async () => {
    const point = pointOf(await synced(follow()));
    const stream = follow({ resume: [{ ...point, revision: 1_000_000n }] });
    expect((await stream.next()).case).toBe("subscribed");
    await expect.poll(() => relay.clock.pending.some((ms) => ms <= 1_000)).toBe(true);
    relay.clock.advance(1_000);
    expect(await stream.until("resyncRequired")).toMatchObject({ reason: ResyncReason.AHEAD, snapshotFollows: true });
    expect((await synced(stream)).revision).toBeGreaterThanOrEqual(point.revision);
  });

  it("gets all of it from a relay that began with what it had kept in a file", async () => {
    const { path, remove } = temporaryFolder("relay");
    const snapshotFile = join(path, "key-set");
    const { credential: own } = await issueKey(t, { scopes: sidecarScopes });
    const before = await startTestRelay(t, { snapshotFile, credential: own });
    await before.close();
    const { keyId, revision } = await revokeOne();
    const again = closing(await startTestRelay(t, { snapshotFile, credential: own }));
    await heard(revision, again);
    const follower = await synced(closing(watchRelay(again, credential)), revision);
    expect(follower.state.markOf(idBytes(keyId))).toBe(revoked);
    remove();
  });

  it("is asked to come back when the relay stops", async () => {
    const stream = follow();
    await synced(stream);
    relay.sidecar.readiness.drain();
    expect((await stream.rest()).at(-1)?.case).toBe("drain");
    expect(await reasonOfRejection(synced(follow()))).toBe("DRAINING");
  });
});

describe("a relay's callers", () => {
  it.each<[string, () => Promise<string>]>([
    ["is none", async () => "nothing"],
    [
      "was revoked",
      async () => {
        const own = await issueKey(t, { scopes: ["ichor:keyset:watch"] });
        await heard((await t.admin().revokeApiKey({ keyId: own.keyId })).revision);
        return own.credential;
      },
    ],
    [
      "is a token, even one for the issuer",
      async () => {
        const own = await issueKey(t, { scopes: ["ichor:keyset:watch"] });
        const asked = { audiences: ["https://ichor.example"], scopes: ["ichor:keyset:watch"] };
        return (await derive(t, own.credential, asked)).token;
      },
    ],
    [
      "is of another tenant",
      async () => {
        const tenant = await insertTenant(t, { slug: `other-${Math.random().toString(36).slice(2, 8)}` });
        return (await issueKey(t, { scopes: ["ichor:keyset:watch"] }, tenant)).credential;
      },
    ],
    [
      "may call from other addresses only",
      async () => {
        return (await issueKey(t, { scopes: ["ichor:keyset:watch"], allowedCidrs: ["192.0.2.0/24"] })).credential;
      },
    ],
    [
      "isn't meant for Ichor",
      async () => {
        const constraints = { audiences: ["https://other.example"] };
        return (await issueKey(t, { scopes: ["ichor:keyset:watch"], constraints })).credential;
      },
    ],
  ])("are refused if their credential %s", async (_, make) => {
    expect(await reasonOfRejection(synced(follow({}, await make())))).toBe("CREDENTIAL_REFUSED");
  });

  it("need the scopes that they need at the server", async () => {
    const none = (await issueKey(t, { scopes: ["ichor:keys:verify"] })).credential;
    const watching = (await issueKey(t, { scopes: ["ichor:keyset:watch"] })).credential;
    expect(await reasonOfRejection(synced(follow({}, none)))).toBe("SCOPE_MISSING");
    expect(await reasonOfRejection(synced(follow({ audiences: [testAudience] }, watching)))).toBe("SCOPE_MISSING");
    const admin = relay.client(AdminService);
    const headers = { authorization: `Bearer ${watching}` };
    expect(await reasonOfRejection(admin.verifyCredential({ credential }, { headers }))).toBe("SCOPE_MISSING");
    expect(await reasonOfRejection(admin.verifyCredential({ credential }))).toBe("CREDENTIAL_MISSING");
  });

  it("act on no other tenant, root included", async () => {
    const headers = { "ichor-tenant": "default" };
    expect(await reasonOfRejection(synced(follow({}, t.rootCredential, headers)))).toBe("TENANT_NOT_ALLOWED");
  });

  it.each([
    ["revoked", ({ keyId }: { keyId: string }) => t.admin().revokeApiKey({ keyId })],
    ["disabled", ({ keyId }: { keyId: string }) => t.admin().disableApiKey({ keyId })],
    ["narrowed", ({ keyId }: { keyId: string }) => t.admin().updateApiKey({ keyId, apiKey: { scopes: ["b"] } })],
  ])("are cut off when their key is %s, and nobody else is", async (_, end) => {
    const own = await issueKey(t, { scopes: ["ichor:keyset:watch"] });
    const others = follow();
    await synced(others);
    const stream = follow({}, own.credential);
    await synced(stream);
    await end(own);
    await expect(stream.rest()).rejects.toThrow();
    const next = await revokeOne();
    await others.until("delta");
    await heard(next.revision);
    expect(relay.hub.book.connected).toBe(1);
  });

  it("are checked again every 30 s, since keys also end by the clock", async () => {
    const expireTime = { seconds: BigInt(Math.floor(t.clock.now() / 1000) + 10), nanos: 0 };
    const own = await issueKey(t, {
      scopes: ["ichor:keyset:watch"],
      expiration: { case: "expireTime", value: expireTime },
    });
    const stream = follow({}, own.credential);
    await synced(stream);
    t.clock.advance(11_000);
    for (let i = 0; i < 15; i++) relay.clock.advance(2_000);
    await expect(stream.rest()).rejects.toThrow();
  });

  it("get nothing but what a relay serves", async () => {
    const served = ["VerifyCredential", "BatchVerifyCredentials", "WatchKeySet", "AckKeySet"];
    const headers = { authorization: `Bearer ${t.rootCredential}` };
    const methods = [AdminService, DerivationService, SelfService].flatMap((service) => service.methods);
    const others = methods.filter(({ name, methodKind }) => !served.includes(name) && methodKind === "unary");
    expect(others.length).toBeGreaterThan(30);
    for (const method of others) {
      const call = relay.transport.unary(method as never, undefined, undefined, headers, {} as never);
      const code = await call.then(
        () => "answered",
        (error: unknown) => ConnectError.from(error).code,
      );
      expect([method.name, code]).toEqual([method.name, Code.Unimplemented]);
    }
  });
});

describe("a relay refuses", () => {
  const fieldsOf = (request: object) =>
    synced(follow(request)).then(
      () => "",
      (error: Error) => error.message,
    );

  it("feeds that it doesn't follow itself", async () => {
    const root = follow({ audiences: ["https://other.example"] }, t.rootCredential);
    expect(await reasonOfRejection(synced(root))).toBe("INVALID_FIELD");
  });

  it("who trusts what it knows for longer than the relay, or for ever", async () => {
    expect(await fieldsOf({ maxStaleness: seconds(31) })).toMatch(/max_staleness/);
    expect(await fieldsOf({ onStale: OnStale.ALLOW })).toMatch(/on_stale/);
    expect(await fieldsOf({ maxStaleness: seconds(30), onStale: OnStale.ONLINE })).toBe("");
  });

  documented("WatchKeySet", "UPSTREAM_UNAVAILABLE", async () => {
    relay.disconnect();
    await expect.poll(() => relay.sidecar.verifier.status().connected).toBe(false);
    relay.clock.advance(31_000);
    return synced(follow());
  });

  it("acknowledgements of others' subscriptions, and of what isn't known yet", async () => {
    const { subscriptionId } = await follow().until("subscribed");
    const others = await followerCredential(t);
    const ack = (own: string, revision: bigint) =>
      relay
        .client(DerivationService)
        .ackKeySet({ subscriptionId, feed: "public", revision }, { headers: { authorization: `Bearer ${own}` } });
    expect(await reasonOfRejection(ack(others, 1n))).toBe("SUBSCRIPTION_NOT_FOUND");
    expect(await reasonOfRejection(ack(credential, 1_000_000n))).toBe("INVALID_FIELD");
    await ack(credential, 1n);
  });
});

describe("a revocation that waits", () => {
  it("waits for everyone behind the relay, whom the server knows as one subscriber", async () => {
    const all = await Promise.all(
      Array.from({ length: 5 }, () => startTestVerifier(t, { transport: relay.transport })),
    );
    for (const { verifier } of all) closing(verifier);
    const { revision, appliedEverywhere, laggards } = await revokeOne(30);
    expect({ appliedEverywhere, laggards }).toEqual({ appliedEverywhere: true, laggards: [] });
    for (const { verifier } of all) expect(verifier.status().revision).toBeGreaterThanOrEqual(revision);
    const { subscribers } = await t.admin().listSubscribers({});
    const connected = subscribers.filter(({ serverId }) => serverId !== "");
    expect(connected.map(({ clientVersion }) => clientVersion)).toEqual(["ichor relay"]);
    expect(relay.hub.book.connected).toBe(5);
  });

  it("is held back by one that doesn't acknowledge, and not by one that is gone for long enough", async () => {
    const { verifier } = await startTestVerifier(t, { transport: relay.transport });
    closing(verifier);
    const silent = follow({ maxStaleness: seconds(20) });
    await synced(silent);
    const { subscriptionId } = relay.sidecar.verifier.status();
    expect(await revokeOne(1)).toMatchObject({ appliedEverywhere: false, laggards: [subscriptionId] });
    silent.close();
    await expect.poll(() => relay.hub.book.connected).toBe(1);
    relay.clock.advance(19_000);
    expect(await revokeOne(1)).toMatchObject({ appliedEverywhere: false, laggards: [subscriptionId] });
    relay.clock.advance(1_001);
    expect(await revokeOne(30)).toMatchObject({ appliedEverywhere: true });
  });
});

describe("relays in a row", () => {
  it("tell, count and verify as one does", async () => {
    const second = closing(await startTestRelay(t, { transport: withOwn(relay) }));
    const { verifier } = await startTestVerifier(t, { transport: second.transport });
    closing(verifier);
    const { revision, appliedEverywhere } = await revokeOne(30);
    expect(appliedEverywhere).toBe(true);
    expect(verifier.status().revision).toBeGreaterThanOrEqual(revision);
    const silent = closing(watchRelay(second, credential));
    await synced(silent);
    expect(await revokeOne(1)).toMatchObject({ appliedEverywhere: false });
  });

  it("let a side-car behind them answer about keys, and drop a revoked one", async () => {
    const leaf = closing(await startTestSidecar(t, { transport: withOwn(relay) }));
    const one = await issueKey(t, { scopes: ["a"] });
    const ask = () => leaf.keys.verifyCredential({ credential: one.credential, requiredScopes: ["a"] });
    expect((await ask()).valid).toBe(true);
    expect((await ask()).valid).toBe(true);
    const askedOf = relay.asked();
    const { revision } = await t.admin().revokeApiKey({ keyId: one.keyId });
    await expect.poll(() => leaf.sidecar.verifier.status().revision, { interval: 1 }).toBeGreaterThanOrEqual(revision);
    expect((await ask()).valid).toBe(false);
    // Its own caller, and the key once before and once after.
    expect(askedOf).toBeLessThanOrEqual(3);
  });

  const withOwn = ({ transport }: TestRelay) => transport;
});
