import { expect, it } from "vitest";
import { KeySetFeeds } from "../../../services/changes/key-set-feeds.ts";
import { Tail } from "../../../services/changes/tail.ts";
import { idBytes } from "../../../services/core/ids.ts";
import { keyIds, tenantId, WorldStore } from "../../model/key-set-world.ts";

it("never gives a feed that was dropped while it was asked for: it would hear of nothing more", async () => {
  const store = new WorldStore();
  store.commit({ kind: "secret", event: "pepper_added" });
  const tail = new Tail({
    store,
    clock: { now: () => 0, monotonicMs: () => 0 },
    schedule: () => () => {},
    log: { info() {}, warn() {}, error() {} },
  });
  const feeds = new KeySetFeeds({ store, tail });
  await tail.start();
  const first = await feeds.open(tenantId, (feed) => feed);
  const second = feeds.open(tenantId, (feed) => feed);
  if (first) feeds.drop(first);
  const feed = await second;
  store.commit({ kind: "key", tenantId, event: "revoked", keyIds: [keyIds[0] as (typeof keyIds)[number]] });
  tail.wake();
  await expect.poll(() => tail.revision).toBe(store.revision);
  expect(feed?.state.markOf(idBytes(keyIds[0] as (typeof keyIds)[number]))).toBe(2 ** 31);
  await tail.stop();
});
