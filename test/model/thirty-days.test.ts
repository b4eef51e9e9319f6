import { afterAll, beforeAll, expect, it } from "vitest";
import type { ChangeRow } from "../../services/core/change.ts";
import { checkpointIntervalMs } from "../../services/keyring/tend-checkpoints.ts";
import { changeSettings } from "../support/settings.ts";
import { startTestApp, type TestApp } from "../support/test-app.ts";
import { derive, issueKey } from "../support/tokens.ts";

const dayMs = 86_400_000;
const stepsPerDay = 2;
const stepMs = dayMs / stepsPerDay;
const retentionDays = 5;
const rotationDays = 10;

let servers: TestApp[];
beforeAll(async () => {
  const first = await startTestApp();
  servers = [first, await startTestApp({ now: first.clock.now }, first)];
  const signingKeyPeriodSeconds = (rotationDays * dayMs) / 1000;
  await changeSettings(first.app.store, { deadKeyRetentionDays: retentionDays, signingKeyPeriodSeconds });
});
afterAll(async () => {
  for (const server of [...servers].reverse()) await server.close();
});

it("does what falls due in 30 days once, with two servers that look at the same time", {
  timeout: 120_000,
}, async () => {
  const [t, other] = servers as [TestApp, TestApp];
  const { clock } = t;
  const { store } = t.app;
  const beginMs = clock.now();
  // Anew from now: the first pair of keys was made with the former period.
  await t.admin().rotateSigningKey({ force: true });
  const changes: ChangeRow[] = [];
  const expiring: { readonly keyId: string; readonly endMs: number; readonly revoked: boolean }[] = [];

  for (let step = 0; step < (30 * dayMs) / stepMs; step++) {
    const on = step % 2 === 0 ? t : other;
    if (step % stepsPerDay === 0) {
      const day = step / stepsPerDay;
      const days = daysOf(day);
      const ttl = { seconds: BigInt(days * 86_400), nanos: 0 };
      const { keyId, credential } = await issueKey(on, { expiration: { case: "ttl", value: ttl } });
      const { tokenId } = await derive(on, credential);
      await on.admin().revokeToken({ target: { case: "tokenRef", value: { keyId, tokenId } } });
      const revoked = day % 4 === 0;
      if (revoked) await on.admin().revokeApiKey({ keyId });
      expiring.push({ keyId, endMs: clock.now() + days * dayMs, revoked });
    }
    await Promise.all(servers.map(({ app }) => app.tend()));
    changes.push(...(await store.changesAfter(changes.at(-1)?.revision ?? 0n, 10_000)));
    clock.advance(stepMs);
  }
  await Promise.all(servers.map(({ app }) => app.tend()));
  changes.push(...(await store.changesAfter(changes.at(-1)?.revision ?? 0n, 10_000)));
  const endMs = clock.now();

  // Expiry: each key that ended, or is about to, with each lead that fits its life.
  const events = await allEvents(t);
  const told = events.filter(({ action }) => action.startsWith("ApiKeyExpir"));
  const expected = expiring.flatMap(({ keyId, endMs: end, revoked }) => {
    const begun = (leadMs: number) => end - leadMs <= endMs && !revoked;
    const issuedMs = end - lifeOf(keyId);
    return [7 * dayMs, dayMs, 0].flatMap((leadMs) =>
      begun(leadMs) && end - issuedMs > leadMs ? [`${keyId} ${leadMs === 0 ? "ended" : `${leadMs / 1000}s`}`] : [],
    );
  });
  expect(told.map(({ target, details }) => `${target} ${details.lead ?? "ended"}`).sort()).toEqual(expected.sort());
  expect(expected.length).toBeGreaterThan(40);

  // Rotation: by the clock, once a period.
  const rotations = events.filter(({ action, callerKeyId }) => action === "RotateSigningKey" && callerKeyId === "");
  expect(rotations.map(({ eventTime }) => (Number(eventTime?.seconds) * 1000 - beginMs) / dayMs)).toEqual([10, 20, 30]);

  // Retention: what is dead for longer is gone, and went once.
  const deleted = idsOf(changes, "deleted");
  expect(new Set(deleted).size).toBe(deleted.length);
  const kept = await Promise.all(expiring.map(async ({ keyId }) => (await store.getKey(keyId as never)) !== undefined));
  const dead = expiring.map(({ endMs: end, keyId, revoked }) => (revoked ? end - lifeOf(keyId) : end));
  expect(kept).toEqual(dead.map((deadMs) => deadMs > endMs - retentionDays * dayMs));
  expect(deleted.sort()).toEqual(
    expiring
      .filter((_, i) => !kept[i])
      .map(({ keyId }) => keyId)
      .sort(),
  );

  // What verifiers had to remember of keys and tokens was forgotten, once each.
  for (const forgotten of [idsOf(changes, "forgotten"), tokensOf(changes)]) {
    expect(forgotten.length).toBeGreaterThan(5);
    expect(new Set(forgotten).size).toBe(forgotten.length);
  }

  // Compaction: a prefix without a gap, of all that is older than a day.
  const young = changes.find(({ commitTimeMs }) => commitTimeMs >= endMs - dayMs);
  expect(await store.compactedThrough()).toBe((young?.revision ?? 0n) - 1n);
  const revisions = changes.map(({ revision }) => revision);
  expect(revisions).toEqual(revisions.map((_, i) => BigInt(i + 1)));

  // Checkpoints: numbered without a gap, each of another revision, no two within an interval.
  const checkpoints = await store.audit.listCheckpoints(0n, 1_000);
  expect(checkpoints.map(({ number }) => number)).toEqual(checkpoints.map((_, i) => BigInt(i + 1)));
  expect(checkpoints.length).toBeGreaterThan(30);
  checkpoints.slice(1).forEach((checkpoint, i) => {
    expect(checkpoint.revision).toBeGreaterThan(checkpoints[i]?.revision ?? 0n);
    expect(checkpoint.timeMs - (checkpoints[i]?.timeMs ?? 0)).toBeGreaterThanOrEqual(checkpointIntervalMs);
  });
  const verified = await t.admin().verifyAuditChain({});
  expect(verified.fault).toBeUndefined();
  expect(verified.checkpointsCompared).toBe(checkpoints.length);

  function lifeOf(keyId: string): number {
    return daysOf(expiring.findIndex((key) => key.keyId === keyId)) * dayMs;
  }
});

/** Life of the key of a day, in days. */
function daysOf(day: number): number {
  return 2 + ((day * 4) % 12);
}

async function allEvents(t: TestApp) {
  const events = [];
  for (let pageToken = "", first = true; first || pageToken !== ""; first = false) {
    const page = await t.admin().listAuditEvents({ orderBy: "revision", pageSize: 1000, pageToken });
    events.push(...page.auditEvents);
    pageToken = page.nextPageToken;
  }
  return events;
}

function idsOf(changes: readonly ChangeRow[], event: "deleted" | "forgotten"): string[] {
  return changes.flatMap(({ change }) => (change.kind === "key" && change.event === event ? change.keyIds : []));
}

function tokensOf(changes: readonly ChangeRow[]): string[] {
  return changes.flatMap(({ change }) =>
    change.kind === "token" && change.event === "forgotten" ? change.tokens.map(({ tokenId }) => tokenId) : [],
  );
}
