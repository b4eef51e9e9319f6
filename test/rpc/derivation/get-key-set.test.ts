import { randomBytes } from "node:crypto";
import { join } from "node:path";
import Database from "better-sqlite3";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { DerivationService } from "../../../gen/ichor/v1/derivation_service_pb.ts";
import { idBytes, type KeyId, newId } from "../../../services/core/ids.ts";
import { KeySetState } from "../../../services/core/key-set/key-set-state.ts";
import { keySetItemsFromProto } from "../../../services/wire/key-set.ts";
import { documented, reasonOfRejection } from "../../support/documented.ts";
import { insertTenant, startTestApp, type TestApp } from "../../support/test-app.ts";
import { issueKey, testAudience } from "../../support/tokens.ts";
import { SimpleFollower, watch } from "../../support/watch.ts";

let t: TestApp;
beforeAll(async () => {
  t = await startTestApp();
});
afterAll(() => t.close());

const feedsOf = async (audiences: readonly string[] = [], headers?: Record<string, string>) => {
  const client = t.client(DerivationService, undefined, headers);
  return (await client.getKeySet({ audiences: [...audiences], includeItems: true })).feeds;
};

/** The state that a feed's items make; fails unless its digest is the one that is told. */
function stateOf(feed: Awaited<ReturnType<typeof feedsOf>>[number] | undefined): KeySetState {
  const state = new KeySetState(1);
  if (feed?.items) state.apply(keySetItemsFromProto(feed.items));
  expect(Buffer.from(feed?.digest ?? []).toString("hex")).toBe(Buffer.from(state.digest).toString("hex"));
  return state;
}

describe("GetKeySet with items", () => {
  it("tells who doesn't follow all that followers know, and as of when", async () => {
    const { keyId } = await issueKey(t);
    await t.admin().revokeApiKey({ keyId });
    const [feed, ...others] = await feedsOf();
    expect(others).toEqual([]);
    const state = stateOf(feed);
    expect(state.markOf(idBytes(keyId as KeyId))).toBe(2 ** 31);
    const { revision, storeEpoch, hash } = await t.app.store.head();
    expect(feed).toMatchObject({ feed: "public", revision, storeEpoch });
    expect(Buffer.compare(feed?.hash ?? new Uint8Array(), hash)).toBe(0);
    expect(Number(feed?.asOf?.seconds)).toBeGreaterThan(0);
    const stream = watch(t);
    const follower = new SimpleFollower();
    while (!follower.synced) follower.take(await stream.next());
    expect(Buffer.compare(follower.state.digest, state.digest)).toBe(0);
    // Where it stands a stream can go on.
    const resume = { feed: "public", storeEpoch, revision, hash: feed?.hash ?? new Uint8Array() };
    stream.close();
    const other = watch(t, { resume: [resume] });
    expect((await other.next()).case).toBe("subscribed");
    expect((await other.next()).case).toBe("feedKeys");
    expect((await other.next()).case).toBe("delta");
    other.close();
  });

  it("is as new as the last change, also while others follow", async () => {
    const stream = watch(t);
    await stream.until("snapshotEnd");
    const { keyId } = await issueKey(t);
    const { revision } = await t.admin().disableApiKey({ keyId });
    const [feed] = await feedsOf();
    expect(feed?.revision).toBeGreaterThanOrEqual(revision);
    expect(stateOf(feed).markOf(idBytes(keyId as KeyId))).toBe(2 ** 30);
    await t.admin().enableApiKey({ keyId });
    expect(await stream.until("delta")).toMatchObject({ feed: "public" });
    stream.close();
  });

  it("has a feed for each audience that the caller may verify for, and nothing unless it is asked", async () => {
    const feeds = await feedsOf([testAudience]);
    expect(feeds.map(({ feed }) => feed)).toEqual(["public", `aud:${testAudience}`]);
    expect(stateOf(feeds[1]).audienceKeys.map(({ audience }) => audience)).toEqual([testAudience]);
    expect((await t.client(DerivationService).getKeySet({ audiences: [testAudience] })).feeds).toEqual([]);
    const watcher = await issueKey(t, { scopes: ["ichor:keyset:watch"] });
    const request = { audiences: [testAudience], includeItems: true };
    expect(await reasonOfRejection(t.client(DerivationService, watcher.credential).getKeySet(request))).toBe(
      "SCOPE_MISSING",
    );
  });

  documented("GetKeySet", "KEY_SET_TOO_LARGE", async () => {
    const tenantId = await insertTenant(t, { slug: "large" });
    const store = new Database(join(t.dataDir, "ichor.db"));
    const insert = store.prepare("INSERT INTO key_mark (tenant_id, key_id, status, token_epoch) VALUES (?, ?, ?, 0)");
    store.transaction(() => {
      for (let i = 0; i < 32_769; i++) insert.run(tenantId, newId("key", i, randomBytes(10)), "DISABLED");
    })();
    store.close();
    return feedsOf([], { "ichor-tenant": "large" });
  });
});
