import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { feedKeyId } from "../../../services/core/key-set/feed-key.ts";
import { feedKeyLeadMs } from "../../../services/keyring/feed-keys.ts";
import { loadMasterKeys } from "../../../services/keyring/master-key.ts";
import { feedKeyStandings, rotateFeedKey } from "../../../services/keyring/tend-feed-keys.ts";
import type { VerifierOptions } from "../../../services/verifier/options.ts";
import { startTestRelay } from "../../support/relay.ts";
import { startTestApp, type TestApp } from "../../support/test-app.ts";
import { issueKey } from "../../support/tokens.ts";
import { makeTestVerifier, startTestVerifier, type TestVerifier } from "../../support/verifier.ts";
import { watch } from "../../support/watch.ts";

let t: TestApp;
let first: string;
const made: TestVerifier[] = [];
const servers: { close(): Promise<unknown> }[] = [];
beforeEach(async () => {
  t = await startTestApp();
  first = (await standings())[0]?.[0] ?? "";
  t.clock.advance(1_000);
});
afterEach(async () => {
  for (const { verifier } of made.splice(0)) await verifier.close();
  for (const server of servers.splice(0)) await server.close();
  await t.close();
});

const deps = () => ({
  store: t.app.store,
  masterKeys: loadMasterKeys(join(t.dataDir, "master.key")),
  random: randomBytes,
  now: t.clock.now,
  log: { info() {} },
});
const standings = async () => (await feedKeyStandings(deps())).map(({ kid, standing }) => [kid, standing] as const);
const rotate = (force = false) => rotateFeedKey(deps(), force);

/** One that believes the first key, and what that hands over to. */
async function start(on = t, options: Partial<VerifierOptions> = {}): Promise<TestVerifier> {
  const one = await startTestVerifier(on, { feedKeys: [first], issuer: "https://ichor.example", ...options });
  made.push(one);
  return one;
}

/** By which key a verifier learned of a change just made. */
async function signerOf(one: TestVerifier): Promise<string | undefined> {
  const { keyId } = await issueKey(t);
  const { revision } = await t.admin().revokeApiKey({ keyId });
  await one.applied(revision);
  return one.verifier.status().feedKeyId;
}

/** Resolves once the server tells so many feed keys. */
async function told(server: TestApp, count: number): Promise<readonly string[]> {
  const stream = watch(server);
  try {
    for (;;) {
      const { keys } = await stream.until("feedKeys");
      if (keys.length === count) return keys.map(({ publicKey }) => feedKeyId(publicKey));
    }
  } finally {
    stream.close();
  }
}

describe("the feed key's successor", () => {
  it("is announced a day before it signs, and believed by who believes its predecessor", async () => {
    const follower = await start();
    const { outcome, kid, activateTimeMs, predecessorId } = await rotate();
    expect({ outcome, predecessorId, inMs: activateTimeMs - t.clock.now() }).toEqual({
      outcome: "announced",
      predecessorId: first,
      inMs: feedKeyLeadMs,
    });
    expect(await told(t, 2)).toEqual([first, kid]);
    expect(await signerOf(follower)).toBe(first);
    t.clock.advance(feedKeyLeadMs);
    follower.clock.advance(feedKeyLeadMs);
    const late = await start();
    expect(await signerOf(late)).toBe(kid);
    expect(await standings()).toEqual([
      [kid, "signs"],
      [first, "retired"],
    ]);
  });

  it("isn't replaced while it waits, unless that is forced: then it signs at once", async () => {
    const { kid } = await rotate();
    expect(await rotate()).toMatchObject({ outcome: "waiting", kid });
    expect(await rotate(true)).toMatchObject({ outcome: "signs", kid, predecessorId: first });
    expect(await standings()).toEqual([
      [kid, "signs"],
      [first, "retired"],
    ]);
    await told(t, 2);
    const follower = await start();
    expect(await signerOf(follower)).toBe(kid);
  });

  it("signs on every server of the store, and there too for who connected before", async () => {
    const other = await startTestApp({}, t);
    servers.push(other);
    other.clock.advance(1_000);
    const follower = await start(other);
    const { kid } = await rotate(true);
    await told(other, 2);
    expect(await signerOf(follower)).toBe(kid);
  });

  it("ends the trust in its predecessor once it has signed, and that key's private part once that is tended", async () => {
    const follower = await start();
    const { kid } = await rotate(true);
    await told(t, 2);
    expect(await signerOf(follower)).toBe(kid);
    await t.app.tend();
    const rows = await t.app.store.listSealedSecrets("feed_key");
    expect(rows).toHaveLength(2);
    t.clock.advance(1_000);
    const third = await rotate(true);
    expect(third.predecessorId).toBe(kid);
    await told(t, 3);
    expect(await signerOf(follower)).toBe(third.kid);
    // Whoever believes only the first still comes to the last, by the two statements between them.
    expect(await signerOf(await start())).toBe(third.kid);
  });

  it("is heard of through relays, by who follows them and by who comes later, and believed as at the server", async () => {
    const relay = await startTestRelay(t, { feedKeys: [first], issuer: "https://ichor.example" });
    servers.push(relay);
    const behind = { transport: relay.transport };
    const follower = await start(t, behind);
    expect(await signerOf(follower)).toBe(first);
    const { kid } = await rotate(true);
    // What the former key signed is believed by nobody who has heard of the next one: the relay begins anew.
    const hasBegunAnew = () => relay.hub.feeds.every((feed) => !relay.hub.lacks(feed));
    while (relay.sidecar.verifier.status().feedKeyId !== kid || !hasBegunAnew()) {
      for (const clock of [t.clock, relay.clock]) clock.advance(500);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    expect(await signerOf(follower)).toBe(kid);
    const late = await start(t, behind);
    expect(late.verifier.status()).toMatchObject({ feedKeyId: kid });
    expect(await signerOf(late)).toBe(kid);
  });

  it("isn't believed by who pinned another key, whatever was handed over", async () => {
    const { kid } = await rotate(true);
    await told(t, 2);
    const follower = await start(t, { feedKeys: [kid] });
    expect(await signerOf(follower)).toBe(kid);
    const stranger = await makeTestVerifier(t, { feedKeys: ["x".repeat(43)], issuer: "https://ichor.example" });
    made.push(stranger);
    await vi.waitFor(() => expect(stranger.events.map((event) => event.kind)).toContain("refused"), 5_000);
    expect(stranger.verifier.status()).toMatchObject({ ready: false, revision: 0n });
  });
});
