import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { tendExpiry } from "../../../services/changes/tend-expiry.ts";
import type { ExpiryPlace } from "../../../services/store/expiry-port.ts";
import type { Store, StoreTransaction } from "../../../services/store/port.ts";
import { startTestApp, type TestApp } from "../../support/test-app.ts";
import { issueKey } from "../../support/tokens.ts";
import { watchEvents } from "../../support/watch-events.ts";

const dayMs = 86_400_000;
const days = (count: number) =>
  ({ expiration: { case: "ttl", value: { seconds: BigInt(count * 86_400), nanos: 0 } } }) as const;
const leadsMs = [7 * dayMs, dayMs];

let t: TestApp;
let other: TestApp;
let since: bigint;
beforeAll(async () => {
  t = await startTestApp();
  other = await startTestApp({ now: t.clock.now }, t);
});
afterAll(async () => {
  await other.close();
  await t.close();
});
beforeEach(async () => {
  since = (await t.app.store.head()).revision;
});

/** Both servers look at once. */
const tend = () =>
  Promise.all([t, other].map(({ app }) => tendExpiry({ store: app.store, leadsMs, now: t.clock.now })));

async function told(keyId: string): Promise<readonly string[]> {
  const filter = `target = ${keyId} AND revision > ${since}`;
  const { auditEvents } = await t.admin().listAuditEvents({ filter, orderBy: "revision", pageSize: 100 });
  const about = auditEvents.filter(({ action }) => action.startsWith("ApiKeyExpir"));
  return about.map(({ action, details }) => `${action} ${details.lead ?? ""}`.trim());
}

describe("expiry events", () => {
  it("tell of each key once with each lead and once when it has ended, whatever servers look", async () => {
    const { keyId } = await issueKey(t, days(30));
    const seen: string[] = [];
    for (let day = 0; day <= 32; day++) {
      await tend();
      const now = await told(keyId);
      if (now.length > seen.length) seen.push(`day ${day}: ${now.slice(seen.length).join(", ")}`);
      t.clock.advance(dayMs);
    }
    expect(seen).toEqual(["day 23: ApiKeyExpiring 604800s", "day 29: ApiKeyExpiring 86400s", "day 30: ApiKeyExpired"]);
  });

  it("tell of a new end anew, and not of one that was taken away", async () => {
    const [moved, freed, revoked] = [
      await issueKey(t, days(10)),
      await issueKey(t, days(10)),
      await issueKey(t, days(10)),
    ];
    t.clock.advance(4 * dayMs);
    await tend();
    const expireTime = { seconds: BigInt(Math.floor(t.clock.now() / 1000) + 20 * 86_400), nanos: 0 };
    await t
      .admin()
      .updateApiKey({ keyId: moved.keyId, apiKey: { expireTime }, updateMask: { paths: ["expire_time"] } });
    await t.admin().updateApiKey({ keyId: freed.keyId, apiKey: {}, updateMask: { paths: ["expire_time"] } });
    await t.admin().revokeApiKey({ keyId: revoked.keyId });
    for (let day = 0; day < 25; day++) {
      t.clock.advance(dayMs);
      await tend();
    }
    expect(await told(moved.keyId)).toEqual([
      "ApiKeyExpiring 604800s",
      "ApiKeyExpiring 604800s",
      "ApiKeyExpiring 86400s",
      "ApiKeyExpired",
    ]);
    expect(await told(freed.keyId)).toEqual(["ApiKeyExpiring 604800s"]);
    expect(await told(revoked.keyId)).toEqual(["ApiKeyExpiring 604800s"]);
  });

  it("leave out leads that are longer than the key's life", async () => {
    const { keyId } = await issueKey(t, days(2));
    for (let hour = 0; hour < 60; hour += 6) {
      await tend();
      t.clock.advance(6 * 3_600_000);
    }
    expect(await told(keyId)).toEqual(["ApiKeyExpiring 86400s", "ApiKeyExpired"]);
  });

  it("tell what fell due while no server ran", async () => {
    const { keyId } = await issueKey(t, days(10));
    await tend();
    t.clock.advance(40 * dayMs);
    await tend();
    expect(await told(keyId)).toEqual(["ApiKeyExpiring 604800s", "ApiKeyExpiring 86400s", "ApiKeyExpired"]);
  });

  it("aren't told by a server that lost its place to another one while it looked", async () => {
    const { keyId } = await issueKey(t, days(10));
    await tend();
    t.clock.advance(4 * dayMs);
    const { store } = t.app;
    const place = (await store.expiry.expiryCursor(7 * dayMs)) as ExpiryPlace;
    const losing: Pick<Store, "mutate" | "expiry"> = {
      expiry: store.expiry,
      mutate: (work) =>
        store.mutate(({ expiry }, revision) =>
          work(
            {
              expiry: {
                expiryCursor: (...args) => expiry.expiryCursor(...args),
                moveExpiryCursor: (...args) => expiry.moveExpiryCursor(...args),
                async expiringKeys(...args) {
                  const keys = await expiry.expiringKeys(...args);
                  await expiry.moveExpiryCursor(7 * dayMs, place, { ...place, expireTimeMs: place.expireTimeMs + 1 });
                  return keys;
                },
              },
            } as StoreTransaction,
            revision,
          ),
        ),
    };
    await tendExpiry({ store: losing, leadsMs: [7 * dayMs], now: t.clock.now });
    expect(await told(keyId)).toEqual([]);
    await tend();
    expect(await told(keyId)).toEqual(["ApiKeyExpiring 604800s"]);
  });

  it("come by the stream, in order and each once, to who resumes", async () => {
    const keys = [await issueKey(t, days(10)), await issueKey(t, days(10))];
    t.clock.advance(5 * dayMs);
    await tend();
    const first = watchEvents(t, { afterRevision: since, actions: ["ApiKeyExpiring"] });
    const [one] = await first.events(1);
    first.close();
    const second = watchEvents(t, { afterRevision: one?.revision ?? 0n, actions: ["ApiKeyExpiring"] });
    const [two] = await second.events(1);
    second.close();
    expect([one?.target, two?.target].sort()).toEqual(keys.map(({ keyId }) => keyId).sort());
    expect(one?.details).toMatchObject({ lead: "604800s", expireTime: expect.stringMatching(/^2026-/) });
  });
});
