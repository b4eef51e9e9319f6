import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { DerivationService } from "../../../gen/ichor/v1/derivation_service_pb.ts";
import { OnStale } from "../../../gen/ichor/v1/key_set_pb.ts";
import type { TenantId } from "../../../services/core/ids.ts";
import { reasonOfRejection } from "../../support/documented.ts";
import { startTestApp, type TestApp } from "../../support/test-app.ts";
import { issueKey } from "../../support/tokens.ts";
import { startTestVerifier } from "../../support/verifier.ts";
import { type Watch, watch } from "../../support/watch.ts";

let here: TestApp;
const watches: Watch[] = [];
beforeAll(async () => {
  here = await startTestApp();
});
afterEach(async () => {
  for (const one of watches.splice(0)) one.close();
  // Whoever was silent for a day is forgotten; streams end a little after their clients.
  const { subscriptions } = here.app.store;
  const tenant = await here.app.store.getTenantBySlug("default");
  const rows = () => subscriptions.listSubscriptions(tenant?.id as TenantId, "", 100);
  await expect.poll(async () => (await rows()).every(({ serverId }) => serverId === "")).toBe(true);
  await subscriptions.deleteSubscriptions((await rows()).map(({ id }) => id));
});
afterAll(async () => {
  await here.close();
});

const seconds = (count: number) => ({ seconds: BigInt(Math.floor(count)), nanos: (count % 1) * 1e9 });

async function revokeAndWait(waitSeconds: number) {
  const { keyId } = await issueKey(here);
  return here.admin().revokeApiKey({ keyId, wait: seconds(waitSeconds) });
}

describe("RevokeApiKey with wait", () => {
  it("answers once every verifier on every server has applied it", async () => {
    const there = await startTestApp({}, here);
    const all = [];
    for (const t of [here, there, there]) all.push(await startTestVerifier(t));
    const { revision, appliedEverywhere, laggards } = await revokeAndWait(10);
    expect({ appliedEverywhere, laggards }).toEqual({ appliedEverywhere: true, laggards: [] });
    for (const { verifier } of all) expect(verifier.status().revision).toBeGreaterThanOrEqual(revision);
    for (const { verifier } of all) await verifier.close();
    await there.close();
  });

  it("names who doesn't acknowledge, and has revoked all the same", async () => {
    const silent = watch(here);
    watches.push(silent);
    const { subscriptionId } = await silent.until("subscribed");
    const { apiKey, appliedEverywhere, laggards } = await revokeAndWait(0.3);
    expect({ appliedEverywhere, laggards }).toEqual({ appliedEverywhere: false, laggards: [subscriptionId] });
    expect(apiKey?.revocation).toBeDefined();
  });

  it("waits for a verifier that is gone until it can't answer any more, and for ever if it answers however stale", async () => {
    const begin = async (onStale: OnStale) => {
      const one = watch(here, { maxStaleness: seconds(60), onStale });
      const { subscriptionId } = await one.until("subscribed");
      one.close();
      await expect
        .poll(async () => (await here.app.store.subscriptions.getSubscription(subscriptionId as never))?.serverId)
        .toBe("");
      return subscriptionId;
    };
    const denying = await begin(OnStale.DENY);
    const allowing = await begin(OnStale.ALLOW);
    expect((await revokeAndWait(0.2)).laggards.sort()).toEqual([denying, allowing].sort());
    here.clock.advance(61_000);
    expect((await revokeAndWait(0.2)).laggards).toEqual([allowing]);
  });

  it("waits for no verifier that was closed, unless a snapshot file lets the next one begin with what it knew", async () => {
    const closed = await startTestVerifier(here);
    await expect(closed.verifier.verify("token")).resolves.toMatchObject({ valid: false });
    await closed.verifier.close();
    await expect(closed.verifier.verify("token")).rejects.toMatchObject({ reason: "NOT_READY" });
    expect(await revokeAndWait(0.2)).toMatchObject({ appliedEverywhere: true, laggards: [] });
    const kept = await startTestVerifier(here, { snapshotFile: join(here.dataDir, "keyset") });
    const { subscriptionId } = kept.verifier.status();
    await kept.verifier.close();
    expect((await revokeAndWait(0.2)).laggards).toEqual([subscriptionId]);
  });

  it("isn't made shorter by who says of another's subscription that it is over", async () => {
    const silent = watch(here);
    watches.push(silent);
    const { subscriptionId } = await silent.until("subscribed");
    const { credential } = await issueKey(here, { scopes: ["ichor:keyset:watch"] });
    const leaving = { subscriptionId, feed: "public", leaving: true };
    const left = here.client(DerivationService, credential).ackKeySet(leaving);
    expect(await reasonOfRejection(left)).toBe("SUBSCRIPTION_NOT_FOUND");
    expect((await revokeAndWait(0.2)).laggards).toEqual([subscriptionId]);
  });

  it("is over at once when nobody follows", async () => {
    expect(await revokeAndWait(0)).toMatchObject({ appliedEverywhere: true, laggards: [] });
  });

  it("refuses a wait out of range", async () => {
    expect(await reasonOfRejection(revokeAndWait(31))).toBe("INVALID_FIELD");
  });
});
