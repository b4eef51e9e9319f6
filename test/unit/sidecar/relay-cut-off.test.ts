import { setImmediate as nextTurn } from "node:timers/promises";
import { expect, it } from "vitest";
import { IchorError } from "../../../services/core/errors.ts";
import { newId } from "../../../services/core/ids.ts";
import { RelayHub } from "../../../services/sidecar/relay-hub.ts";
import { Subscriber } from "../../../services/subscribers/subscriber.ts";
import { madeMs, someKeyId, someTenantId } from "../core/some-key.ts";

const schedule = () => () => {};

/** A relay that can't ask its server, and one stream of it. */
async function begun() {
  const drain = new AbortController().signal;
  const hub = new RelayHub({ feeds: ["public"], drain, monotonicMs: () => 0, schedule, jitter: () => 0 });
  const recheck = () => Promise.reject(new IchorError("UPSTREAM_UNAVAILABLE", "the server can't be asked"));
  const caller = { keyId: someKeyId, tenantId: someTenantId, inDefaultTenant: false, scopes: [] };
  const sink = { bufferedBytes: 0, write() {}, drained: async () => {} };
  const id = newId("sub", madeMs, new Uint8Array(10));
  const call = { caller: { ...caller, kind: "ISSUED_KEY" as const }, recheck };
  const subscriber = new Subscriber(id, call, sink, { schedule, tally: hub.tally });
  await hub.begin(subscriber, { tenantId: someTenantId, audiences: [], resume: undefined });
  return { hub, subscriber };
}

it("a relay that can't ask its server ends the stream of a key that has changed", async () => {
  const { hub, subscriber } = await begun();
  hub.changed({ of: "some", keyIds: [someKeyId], imported: false });
  await nextTurn();
  expect([subscriber.over, subscriber.refusal]).toEqual([
    true,
    expect.objectContaining({ reason: "UPSTREAM_UNAVAILABLE" }),
  ]);
});

it("and no other: neither of other keys, nor all of them when something was missed", async () => {
  const { hub, subscriber } = await begun();
  hub.changed({ of: "some", keyIds: [newId("key", madeMs, new Uint8Array(10))], imported: false });
  hub.changed({ of: "all" });
  await nextTurn();
  expect(subscriber.over).toBe(false);
});
