import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { eventStreamsMax } from "../../../services/admin/watch-events.ts";
import { renewStoreEpoch } from "../../../services/changes/renew-store-epoch.ts";
import { byItself } from "../../../services/core/audit-event.ts";
import type { TenantId } from "../../../services/core/ids.ts";
import { documented, reasonOfRejection } from "../../support/documented.ts";
import { insertTenant, startTestApp, type TestApp } from "../../support/test-app.ts";
import { issueKey } from "../../support/tokens.ts";
import { type EventWatch, watchEvents } from "../../support/watch-events.ts";

let t: TestApp;
const open: EventWatch[] = [];
beforeAll(async () => {
  t = await startTestApp();
  await insertTenant(t, { slug: "acme" });
});
afterAll(async () => {
  for (const stream of open) stream.close();
  await t.close();
});

const watch = (...args: Parameters<typeof watchEvents> extends [TestApp, ...infer R] ? R : never) => {
  const stream = watchEvents(t, ...args);
  open.push(stream);
  return stream;
};

describe("WatchEvents", () => {
  it("tells what there was from a revision on, then what comes, each once and in order", async () => {
    const early = [await issueKey(t), await issueKey(t)];
    const { revision } = await t.app.store.head();
    const stream = watch({ afterRevision: revision - 2n });
    expect(await stream.next()).toMatchObject({ case: "subscribed", value: { afterRevision: revision - 2n } });
    const late = issueKey(t);
    const events = await stream.events(3);
    expect(events.map(({ target }) => target)).toEqual([...early, await late].map(({ keyId }) => keyId));
    expect(events.map((event) => event.revision)).toEqual([revision - 1n, revision, revision + 1n]);
  });

  it("goes on without a gap for who comes back, however much happened meanwhile", async () => {
    const first = watch();
    await first.next();
    const told: string[] = [];
    await issueKey(t);
    const [last] = await first.events(1);
    first.close();
    // More than one read of the trail.
    const acme = await t.app.store.getTenantBySlug("acme");
    const own: string[] = [];
    for (let i = 0; i < 210; i++) {
      const tenantId = (i % 70 === 0 ? acme?.id : last?.tenantId) as TenantId;
      const audit = byItself(tenantId, "Test", `event ${i}`);
      const change = { kind: "audit", tenantId, event: "noted" } as const;
      await t.app.store.mutate(async () => ({ result: undefined, change, audit }));
      if (i % 70 !== 0) own.push(audit.target);
    }
    const second = watch({ afterRevision: last?.revision ?? 0n });
    for (const { target } of await second.events(own.length)) told.push(target);
    expect(told).toEqual(own);
  });

  it("tells only of the own tenant, and of what was asked for", async () => {
    const acme = watch({ actions: ["RevokeApiKey"] }, undefined, { "ichor-tenant": "acme" });
    await acme.next();
    await issueKey(t);
    const { keyId } = await issueKey(t, {}, "acme");
    await t.admin(undefined, { "ichor-tenant": "acme" }).revokeApiKey({ keyId });
    expect(await acme.events(1)).toMatchObject([{ action: "RevokeApiKey", target: keyId }]);
  });

  it("says how far it is when there is nothing to tell", async () => {
    const { revision } = await t.app.store.head();
    const stream = watch({ actions: ["Nothing"], afterRevision: 0n });
    await stream.next();
    expect(await stream.next()).toMatchObject({ case: "progress", value: { revision } });
  });

  it("ends at once when its caller's key is revoked", async () => {
    const { keyId, credential } = await issueKey(t, { scopes: ["ichor:audit:read"] });
    const stream = watch({}, credential);
    await stream.next();
    await t.admin().revokeApiKey({ keyId });
    const rest = async () => {
      for (;;) await stream.next();
    };
    expect(await reasonOfRejection(rest())).toBe("CREDENTIAL_REFUSED");
  });

  it("asks to begin anew when the history is another one", async () => {
    const { storeEpoch, revision } = await t.app.store.head();
    const stream = watch({ afterRevision: revision, storeEpoch });
    await stream.next();
    await renewStoreEpoch(
      { store: t.app.store, now: t.clock.now, random: (size) => new Uint8Array(size).fill(3) },
      storeEpoch,
    );
    const last = async () => {
      let event = await stream.next();
      while (event.case === "progress" || event.case === "auditEvent") event = await stream.next();
      return event;
    };
    const now = await t.app.store.head();
    expect(await last()).toMatchObject({ case: "resyncRequired", value: { storeEpoch: now.storeEpoch } });
    await expect(stream.next()).rejects.toThrow(/ended/);
    const back = watch({ afterRevision: revision + 1_000n, storeEpoch });
    expect(await back.next()).toMatchObject({ case: "resyncRequired" });
  });

  it("asks to come back when the server stops", async () => {
    const other = await startTestApp();
    const stream = watchEvents(other);
    await stream.next();
    other.app.readiness.drain();
    let event = await stream.next();
    if (event.case === "progress") event = await stream.next();
    expect(event.case).toBe("drain");
    await expect(stream.next()).rejects.toThrow(/ended/);
    await other.close();
  });

  documented("WatchEvents", "INVALID_FIELD", () => watch({ afterRevision: 1_000_000n }).next());
  documented("WatchEvents", "CREDENTIAL_REFUSED", () => watch({}, "ichor_sk_nonsense").next());
  documented("WatchEvents", "TOO_MANY_STREAMS", async () => {
    const many = Array.from({ length: eventStreamsMax }, () => watch());
    await Promise.all(many.map((stream) => stream.next()));
    try {
      return await watch().next();
    } finally {
      for (const stream of many) stream.close();
    }
  });
});
