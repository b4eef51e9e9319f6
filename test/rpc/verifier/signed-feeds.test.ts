import { join } from "node:path";
import { clone, create, type MessageInitShape } from "@bufbuild/protobuf";
import { createClient, createRouterTransport } from "@connectrpc/connect";
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { DerivationService } from "../../../gen/ichor/v1/derivation_service_pb.ts";
import {
  FeedKeySchema,
  type WatchKeySetResponse,
  WatchKeySetResponseSchema,
} from "../../../gen/ichor/v1/key_set_pb.ts";
import { renewStoreEpoch } from "../../../services/changes/renew-store-epoch.ts";
import { idBytes, type KeyId } from "../../../services/core/ids.ts";
import { feedKeyId } from "../../../services/core/key-set/feed-key.ts";
import { createVerifier } from "../../../services/verifier/create-verifier.ts";
import type { VerifierOptions } from "../../../services/verifier/options.ts";
import { seededRandom } from "../../fakes/random.ts";
import { collidingTokens, FeedForger } from "../../support/feed-forger.ts";
import { honestly, type Tamper, tampering } from "../../support/tampering.ts";
import { insertTenant, startTestApp, type TestApp } from "../../support/test-app.ts";
import { derive, issueKey, testAudience } from "../../support/tokens.ts";
import { makeTestVerifier, type TestVerifier } from "../../support/verifier.ts";
import { watch } from "../../support/watch.ts";

const issuer = "https://ichor.example";

let t: TestApp;
let pin: string;
const made: TestVerifier[] = [];
beforeAll(async () => {
  t = await startTestApp();
  const stream = watch(t);
  const { keys } = await stream.until("feedKeys");
  stream.close();
  pin = feedKeyId(keys[0]?.publicKey ?? new Uint8Array());
});
afterEach(async () => {
  for (const { verifier } of made.splice(0)) await verifier.close();
});
afterAll(() => t.close());

/** A verifier behind somebody who may change what it is told; it believes the server's feed key alone, unless told otherwise. */
async function makeBehind(tamper: Tamper = honestly, options: Partial<VerifierOptions> = { feedKeys: [pin], issuer }) {
  const between = tampering(createRouterTransport(t.app.routes));
  between.tamper = tamper;
  const one = await makeTestVerifier(t, { transport: between.transport, ...options });
  made.push(one);
  return { ...one, between };
}

async function startBehind(...args: Parameters<typeof makeBehind>) {
  const one = await makeBehind(...args);
  await one.verifier.ready();
  return one;
}

async function keyWithToken() {
  const key = await issueKey(t, { scopes: ["invoices:*"] });
  return { ...key, ...(await derive(t, key.credential)) };
}

/** Revokes a key; streams are told of it at once, and by a heartbeat after it. */
async function revoke(keyId: string): Promise<bigint> {
  const { revision } = await t.admin().revokeApiKey({ keyId, wait: { seconds: 0n, nanos: 1_000_000 } });
  return revision;
}

/** Resolves with what the next refusal says. */
function refusal({ events }: TestVerifier): Promise<string> {
  return vi.waitFor(() => {
    const refused = events.find((event) => event.kind === "refused");
    if (refused === undefined) throw new Error("nothing was refused");
    return (refused.error as Error).message;
  }, 5_000);
}

/** Lets a verifier try again as soon as it wants to, until it has come so far. */
async function comesBack(one: TestVerifier, revision: bigint): Promise<void> {
  for (let tried = 0; one.verifier.status().revision < revision; ) {
    const ended = one.events.filter((event) => event.kind === "disconnected");
    if (ended.length > tried) one.clock.advance(ended.at(-1)?.retryInMs ?? 0);
    tried = ended.length;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** Ends a verifier's stream by silence, and lets it begin another. */
async function beginsAnew({ verifier, clock, events }: TestVerifier): Promise<void> {
  clock.advance(6_000);
  await vi.waitFor(() => expect(verifier.status().connected).toBe(false), 5_000);
  const ended = await vi.waitFor(() => {
    const last = events.at(-1);
    if (last?.kind !== "disconnected") throw new Error("it isn't disconnected");
    return last;
  }, 5_000);
  clock.advance(ended.retryInMs);
}

type Value<C extends WatchKeySetResponse["event"]["case"]> = Extract<
  WatchKeySetResponse["event"],
  { case: C }
>["value"];

/** Changes events of one kind. */
function onEach<C extends "delta" | "heartbeat" | "snapshotBegin" | "snapshotEnd" | "subscribed">(
  kind: C,
  change: (value: Value<C>, response: WatchKeySetResponse) => unknown,
): Tamper {
  return (response) => {
    if (response.event.case === kind) change(response.event.value as Value<C>, response);
    return [response];
  };
}

const unsign = (_: unknown, response: WatchKeySetResponse) =>
  Object.assign(response, { signature: new Uint8Array(), feedKeyId: "" });

function withKeys(response: WatchKeySetResponse, keys: readonly MessageInitShape<typeof FeedKeySchema>[]) {
  if (response.event.case === "feedKeys") response.event.value.keys = keys.map((key) => create(FeedKeySchema, key));
  return response;
}

describe("a verifier that is told a feed key", () => {
  it("follows whoever hands on what that key signed, and says by which one", async () => {
    const { verifier, applied } = await startBehind();
    const { keyId, token } = await keyWithToken();
    expect((await verifier.verify(token)).code).toBe("VALID");
    const { revision } = await t.admin().revokeApiKey({ keyId });
    await applied(revision);
    expect((await verifier.verify(token)).code).toBe("REVOKED");
    expect(verifier.status()).toMatchObject({ feedKeyId: pin, connected: true });
  });

  it.each<[string, Tamper, string]>([
    ["a delta without its signature", onEach("delta", unsign), "signed by nobody"],
    [
      "a delta with its signature's bytes in another order",
      onEach("delta", (_, { signature }) => signature.reverse()),
      "is wrong",
    ],
    ["a delta without its items", onEach("delta", (value) => delete value.items), "is wrong"],
    ["a delta as newer than it is", onEach("delta", ({ asOf }) => asOf && asOf.seconds++), "is wrong"],
    ["a delta as of a later revision", onEach("delta", (value) => value.revision++), "is wrong"],
    ["a delta with another hash of the log", onEach("delta", ({ hash }) => hash.reverse()), "is wrong"],
    [
      "a delta with a hash that is none",
      onEach("delta", (value) => Object.assign(value, { hash: new Uint8Array(31) })),
      "none that a server tells",
    ],
    [
      "a delta of another feed",
      onEach("delta", (value) => Object.assign(value, { feed: `aud:${testAudience}` })),
      "is wrong",
    ],
    ["a heartbeat without its signature", onEach("heartbeat", unsign), "signed by nobody"],
    ["a heartbeat as newer than it is", onEach("heartbeat", ({ asOf }) => asOf && asOf.seconds++), "is wrong"],
    ["a heartbeat as of a later revision", onEach("heartbeat", (value) => value.revision++), "is wrong"],
  ])("applies not %s", async (_name, tamper, why) => {
    const one = await startBehind();
    const { keyId, token } = await keyWithToken();
    one.between.tamper = tamper;
    const revision = await revoke(keyId);
    expect(await refusal(one)).toContain(why);
    expect(one.verifier.status()).toMatchObject({ connected: false });
    one.between.tamper = honestly;
    await comesBack(one, revision);
    expect((await one.verifier.verify(token)).code).toBe("REVOKED");
  });

  it.each<[string, Tamper, string]>([
    ["whose end isn't signed", onEach("snapshotEnd", unsign), "signed by nobody"],
    [
      "of another history",
      onEach("snapshotBegin", (value) => Object.assign(value, { storeEpoch: "0".repeat(32) })),
      "is wrong",
    ],
    ["that is as of another revision", onEach("snapshotEnd", (value) => value.revision++), "is wrong"],
    ["with its parts left out", (response) => (response.event.case === "snapshotItems" ? [] : [response]), "is wrong"],
    [
      "with a part twice",
      (response) => (response.event.case === "snapshotItems" ? [response, response] : [response]),
      "snapshot",
    ],
    [
      "of more parts than it began with",
      (response) => (response.event.case === "snapshotItems" ? Array(1_000).fill(response) : [response]),
      "more parts than it began with",
    ],
    [
      "that is said to be larger than any",
      onEach("snapshotBegin", (value) => Object.assign(value, { markCount: 2n ** 24n + 1n })),
      "too large",
    ],
    ["whose keys nobody told", (response) => (response.event.case === "feedKeys" ? [] : [response]), "isn't believed"],
    [
      "of another issuer",
      onEach("subscribed", (value) => Object.assign(value, { issuer: "https://evil.example" })),
      "of issuer https://evil.example",
    ],
    [
      "of another tenant",
      onEach("subscribed", (value) => Object.assign(value, { tenantId: "ten_00000000000000000000000000" })),
      "is wrong",
    ],
    [
      "with feed keys that are none",
      (response) =>
        response.event.case === "feedKeys" ? [withKeys(response, [{ publicKey: new Uint8Array(31) }])] : [response],
      "is none",
    ],
    [
      "with more feed keys than a server tells",
      (response) =>
        response.event.case === "feedKeys"
          ? [withKeys(response, Array(65).fill({ publicKey: new Uint8Array(32) }))]
          : [response],
      "too many",
    ],
  ])("isn't ready by a snapshot %s", async (_name, tamper, why) => {
    const one = await makeBehind(tamper);
    expect(await refusal(one)).toContain(why);
    expect(one.verifier.status()).toMatchObject({ ready: false, revision: 0n });
    await expect(one.verifier.verify("token")).rejects.toMatchObject({ reason: "NOT_READY" });
    one.between.tamper = honestly;
    await comesBack(one, 1n);
  });
});

describe("the snapshot file of a verifier that is told a feed key", () => {
  it.each<[string, Partial<VerifierOptions>, Partial<VerifierOptions>, boolean]>([
    ["is taken if that key vouched for it", { feedKeys: ["pin"], issuer }, { feedKeys: ["pin"], issuer }, true],
    ["isn't taken if nobody did", {}, { feedKeys: ["pin"], issuer }, false],
    ["isn't taken if another key did", { feedKeys: ["pin"], issuer }, { feedKeys: ["x".repeat(43)], issuer }, false],
    [
      "isn't taken for another issuer",
      { feedKeys: ["pin"], issuer },
      { feedKeys: ["pin"], issuer: "https://other.example" },
      false,
    ],
    ["is taken by who checks nothing", { feedKeys: ["pin"], issuer }, {}, true],
  ])("%s", async (_name, first, then, taken) => {
    const pinned = ({ feedKeys, ...rest }: Partial<VerifierOptions>) => ({
      ...rest,
      ...(Array.isArray(feedKeys) && { feedKeys: feedKeys.map((id: string) => (id === "pin" ? pin : id)) }),
    });
    const { credential } = await issueKey(t, { scopes: ["ichor:keyset:watch"] });
    const kept = { credential, macaroons: false, snapshotFile: join(t.dataDir, `keyset-${credential.slice(-20)}`) };
    await (await startBehind(honestly, { ...kept, ...pinned(first) })).verifier.close();
    const later = await makeBehind(() => [], { ...kept, ...pinned(then) });
    expect(later.verifier.status().ready).toBe(taken);
    expect(later.events.some(({ kind }) => kind === "snapshot_file_ignored")).toBe(!taken);
    if (taken && then.feedKeys !== undefined) expect(later.verifier.status().feedKeyId).toBe(pin);
  });
});

describe("options of a verifier that is told a feed key", () => {
  const url = "https://keys.example";
  it.each<[Partial<VerifierOptions>, string]>([
    [{ url, feedKeys: [] }, "feedKeys is empty"],
    [{ url, feedKeys: ["short"], issuer }, "not the thumbprint"],
    [{ url, feedKeys: ["x".repeat(43)] }, "feedKeys needs issuer"],
    [{ url, issuer }, "issuer needs feedKeys"],
    [{ url, feedKeys: ["x".repeat(43)], issuer, onStale: "online" }, "online"],
    [{ url: "http://keys.example", feedKeys: "learn", snapshotFile: "keyset" }, "https://"],
    [{ url, feedKeys: "learn" }, "snapshotFile"],
  ])("that make no sense are refused: %j", (options, why) => {
    expect(() => createVerifier({ audience: testAudience, credential: "x", ...options } as VerifierOptions)).toThrow(
      why,
    );
  });
});

describe("somebody between who has a key of his own", () => {
  type Attack = (forger: FeedForger) => {
    readonly tell?: (response: WatchKeySetResponse) => void;
    readonly as?: string;
  };
  it.each<[string, Attack, string]>([
    ["signs by it", () => ({}), "isn't believed"],
    ["signs by it in the name of the right one", () => ({ as: pin }), "is wrong"],
    [
      "tells it beside the right one",
      ({ publicKey }) => ({ tell: (response) => void addKeys(response, { publicKey }) }),
      "isn't believed",
    ],
    [
      "tells it in the place of the right one, under whose name it signs",
      ({ publicKey }) => ({ tell: (response) => void withKeys(response, [{ publicKey }]), as: pin }),
      "is",
    ],
    [
      "tells it as the right one's successor",
      (forger) => ({ tell: (response) => void addKeys(response, forger.asSuccessorOf(pin)) }),
      "isn't believed",
    ],
  ])("hides nothing if he %s", async (_name, attack, why) => {
    const forger = new FeedForger();
    const { tell = () => {}, as = forger.feedKeyId } = attack(forger);
    let forges = false;
    const tamper: Tamper = (response) => {
      forger.hears(response);
      if (response.event.case === "feedKeys" && forges) tell(response);
      const told = response.event;
      if (!forges || (told.case !== "delta" && told.case !== "heartbeat")) return [response];
      if (told.case === "delta") delete told.value.items;
      forger.resign(response);
      return [Object.assign(response, { feedKeyId: as })];
    };
    const one = await startBehind(tamper);
    const { keyId, token } = await keyWithToken();
    // He begins with another stream, so that he can tell his keys.
    forges = true;
    await beginsAnew(one);
    const revision = await revoke(keyId);
    expect(await refusal(one)).toContain(why);
    forges = false;
    await comesBack(one, revision);
    expect((await one.verifier.verify(token)).code).toBe("REVOKED");
  });
});

describe("somebody between who repeats what was signed", () => {
  it("doesn't lead back by an old snapshot, whatever he says where it begins", async () => {
    const old: WatchKeySetResponse[] = [];
    const one = await startBehind((response) => {
      if (response.event.case?.startsWith("snapshot")) old.push(response);
      return [response];
    });
    const { keyId, token } = await keyWithToken();
    const revision = await revoke(keyId);
    await one.applied(revision);
    one.between.tamper = repeating(old.filter(ofPublic), (response) => {
      if (response.event.case === "snapshotBegin") response.event.value.revision = revision + 100n;
    });
    await beginsAnew(one);
    await vi.waitFor(() => expect(lastError(one)).toContain("behind"), 5_000);
    expect(one.verifier.status().revision).toBeGreaterThanOrEqual(revision);
    expect((await one.verifier.verify(token)).code).toBe("REVOKED");
  });

  it("doesn't lead back to a history that has ended", async () => {
    const old: WatchKeySetResponse[] = [];
    const one = await startBehind((response) => {
      if (response.event.case?.startsWith("snapshot")) old.push(response);
      return [response];
    });
    const { token } = await keyWithToken();
    for (const clock of [t.clock, one.clock]) clock.advance(1_000);
    const { store } = t.app;
    await renewStoreEpoch({ store, now: t.clock.now, random: seededRandom() }, (await store.head()).storeEpoch);
    const revision = (await store.head()).revision;
    await comesBack(one, revision);
    // The tokens of before have ended with it.
    expect((await one.verifier.verify(token)).code).toBe("REVOKED");
    one.between.tamper = repeating(old.filter(ofPublic), (response) => {
      if (response.event.case === "snapshotBegin") response.event.value.revision = revision + 100n;
    });
    await beginsAnew(one);
    await vi.waitFor(() => expect(lastError(one)).toContain("history from before"), 5_000);
    expect((await one.verifier.verify(token)).code).toBe("REVOKED");
  });

  it("makes nothing fresh by old heartbeats", async () => {
    let heartbeat: WatchKeySetResponse | undefined;
    const one = await startBehind((response) => {
      if (response.event.case === "heartbeat" && ofPublic(response)) heartbeat ??= response;
      return [response];
    });
    const { keyId } = await keyWithToken();
    await one.applied(await revoke(keyId));
    await vi.waitFor(() => expect(heartbeat).toBeDefined(), 5_000);
    for (const clock of [t.clock, one.clock]) clock.advance(10_000);
    one.between.tamper = (response) => (response.event.case === "heartbeat" && heartbeat ? [heartbeat] : [response]);
    const before = one.verifier.status();
    await revoke(keyId);
    await vi.waitFor(() => expect(one.verifier.status().connected).toBe(false), 5_000);
    expect(one.verifier.status().age).toBeGreaterThanOrEqual(before.age);
  });

  it("makes a verifier that hears nothing too stale to answer, and no more", async () => {
    const one = await startBehind();
    const { keyId, token } = await keyWithToken();
    one.between.tamper = () => [];
    const revision = await revoke(keyId);
    one.clock.advance(29_000);
    expect((await one.verifier.verify(token)).code).toBe("VALID");
    one.clock.advance(2_000);
    await expect(one.verifier.verify(token)).rejects.toMatchObject({ reason: "STALE" });
    one.between.tamper = honestly;
    await comesBack(one, revision);
  });

  it("can't leave a delta out or tell two in another order", async () => {
    for (const disorder of ["left out", "another order"]) {
      const one = await startBehind();
      const keys = [await keyWithToken(), await keyWithToken()];
      const held: WatchKeySetResponse[] = [];
      one.between.tamper = (response) => {
        if (response.event.case !== "delta") return [response];
        held.push(response);
        if (held.length === 1) return [];
        return disorder === "left out" ? [response] : [response, held[0] as WatchKeySetResponse];
      };
      let revision = 0n;
      for (const { keyId } of keys) revision = (await t.admin().revokeApiKey({ keyId })).revision;
      await vi.waitFor(() => expect(one.events.map(({ kind }) => kind)).toContain("resync"), 5_000);
      expect(one.verifier.status().revision).toBeLessThan(revision);
      one.between.tamper = honestly;
      await comesBack(one, revision);
      for (const { token } of keys) expect((await one.verifier.verify(token)).code).toBe("REVOKED");
    }
  });

  it("passes off no other tenant's feed, though the same key signs it", async () => {
    await insertTenant(t, { slug: "other" });
    const theirs = createClient(DerivationService, createRouterTransport(t.app.routes));
    const headers = { authorization: `Bearer ${t.rootCredential}`, "ichor-tenant": "other" };
    const gone = new AbortController();
    const recorded: WatchKeySetResponse[] = [];
    for await (const response of theirs.watchKeySet({}, { headers, signal: gone.signal })) {
      recorded.push(response);
      if (response.event.case === "snapshotEnd") break;
    }
    gone.abort();
    const snapshot = recorded.filter(({ event }) => event.case?.startsWith("snapshot"));
    const one = await makeBehind(repeating(snapshot, () => {}));
    expect(await refusal(one)).toContain("the signature of the snapshot is wrong");
    expect(one.verifier.status()).toMatchObject({ ready: false, revision: 0n });
  });
});

describe("the XOR of a feed's items", () => {
  it("doesn't tell that a revocation was left out, if the others are well chosen; the signature does", async () => {
    const { keyId, token } = await keyWithToken();
    await t.admin().revokeApiKey({ keyId });
    const hiding: Tamper = (response) => {
      const { event } = response;
      if (event.case === "snapshotBegin") event.value.revokedTokenCount += 300n;
      const items = event.case === "snapshotItems" ? event.value.items : undefined;
      const at = items?.marks.length ? indexOf(items.markedKeys, idBytes(keyId as KeyId)) : -1;
      if (items === undefined || at < 0) return [response];
      const item = Buffer.alloc(21);
      item[0] = 1;
      item.set(idBytes(keyId as KeyId), 1);
      item.writeUInt32BE(items.marks[at] ?? 0, 17);
      items.markedKeys = Buffer.concat([
        items.markedKeys.subarray(0, at * 16),
        items.markedKeys.subarray(at * 16 + 16),
      ]);
      items.marks.splice(at, 1);
      items.revokedTokens = Buffer.concat([items.revokedTokens, ...collidingTokens(item)]);
      return [response];
    };
    // Who checks no signature believes whoever it is connected to: the digest is right, and the token isn't revoked.
    const credulous = await startBehind(hiding, {});
    expect((await credulous.verifier.verify(token)).code).toBe("VALID");
    const one = await makeBehind(hiding);
    expect(await refusal(one)).toContain("the signature of the snapshot is wrong");
    expect(one.verifier.status().ready).toBe(false);
    one.between.tamper = honestly;
    await comesBack(one, 1n);
    expect((await one.verifier.verify(token)).code).toBe("REVOKED");
  });
});

function addKeys(response: WatchKeySetResponse, ...keys: MessageInitShape<typeof FeedKeySchema>[]) {
  const told = response.event.case === "feedKeys" ? response.event.value.keys : [];
  return withKeys(response, [...told, ...keys]);
}

/** Tells these in the place of all that a stream tells of feeds. */
function repeating(events: readonly WatchKeySetResponse[], change: (response: WatchKeySetResponse) => void): Tamper {
  return (response) => {
    const { event } = response;
    if (event.case === "feedKeys") {
      const copies = events.map((one) => clone(WatchKeySetResponseSchema, one));
      for (const one of copies) change(one);
      return [response, ...copies];
    }
    return event.case === "subscribed" ? [response] : [];
  };
}

function ofPublic({ event: { value } }: WatchKeySetResponse): boolean {
  return value !== undefined && "feed" in value && value.feed === "public";
}

function lastError({ events }: TestVerifier): string {
  const ended = events.filter((event) => event.kind === "disconnected").at(-1);
  return String((ended?.error as Error | undefined)?.message);
}

function indexOf(packed: Uint8Array, id: Uint8Array): number {
  for (let at = 0; at < packed.length; at += 16) {
    if (Buffer.compare(packed.subarray(at, at + 16), id) === 0) return at / 16;
  }
  return -1;
}
