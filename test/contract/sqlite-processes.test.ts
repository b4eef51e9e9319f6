import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import Database from "better-sqlite3";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { parseIssuedKey } from "../../services/core/credential.ts";
import { issuedDigest } from "../../services/core/digest.ts";
import { loadMasterKeys } from "../../services/keyring/master-key.ts";
import { loadPeppers } from "../../services/keyring/peppers.ts";
import "../support/build-dist.ts";
import { temporaryFolder } from "../support/server-process.ts";
import { chainFaults } from "./chain.ts";
import { openTestStore } from "./sqlite-files.ts";
import { type StoreChild, startStoreChild } from "./store-children.ts";

let folder: ReturnType<typeof temporaryFolder>;
let url: string;
beforeEach(() => {
  folder = temporaryFolder("processes");
  url = `file:${join(folder.path, "ichor.db")}`;
});
afterEach(() => folder.remove());

const query = async (sql: string) => {
  const database = new Database(url.slice("file:".length));
  try {
    return database.prepare(sql).all() as Record<string, unknown>[];
  } finally {
    database.close();
  }
};

async function start(count: number, mode: "start" | "write", writes = 0): Promise<readonly StoreChild[]> {
  const children = await Promise.all(
    Array.from({ length: count }, () => startStoreChild(mode, url, folder.path, writes)),
  );
  for (const child of children) child.go();
  return children;
}

describe("several processes on one SQLite file", () => {
  it.each([1, 2, 3])(
    "that start at once on nothing make one tenant, one pepper, one root, which works (round %i)",
    async () => {
      const children = await start(3, "start");
      await Promise.all(children.map((child) => child.ended()));
      expect(new Set(children.flatMap(({ said }) => said.map(({ storeEpoch }) => storeEpoch))).size).toBe(1);
      expect(children.map(({ said }) => said[0]?.revision)).toEqual(["1", "1", "1"]);
      expect(await query("SELECT slug FROM tenant")).toEqual([{ slug: "default" }]);
      expect(await query("SELECT purpose FROM sealed_secret ORDER BY purpose")).toEqual(
        ["checkpoint_key", "feed_key", "macaroon_master", "pepper", "signing_key", "signing_key"].map((purpose) => ({
          purpose,
        })),
      );
      expect(await query("SELECT action FROM audit_event")).toEqual([{ action: "Bootstrap" }]);
      expect(await query("SELECT id FROM api_key")).toHaveLength(1);
      expect(await chainFaults({ query })).toEqual([]);
      expect(readdirSync(folder.path).filter((name) => name.endsWith(".tmp"))).toEqual([]);

      const store = await openTestStore({ url });
      const masterKeys = loadMasterKeys(join(folder.path, "master.key"));
      const { secrets: peppers } = await loadPeppers(store, masterKeys, Date.now());
      const text = readFileSync(join(folder.path, "root.key"), "utf8");
      expect(text).toMatch(/^\S+\n$/);
      expect(statSync(join(folder.path, "root.key")).mode & 0o777).toBe(0o600);
      const presented = parseIssuedKey(text.trim());
      if (presented === undefined) throw new Error("root.key holds no issued key");
      const root = await store.getKey(presented.keyId);
      if (root === undefined) throw new Error("root.key names no key");
      expect(root).toMatchObject({ scopes: ["ichor:*"], name: "root", state: "ACTIVE" });
      expect(root.expireTimeMs).toBeUndefined();
      const digest = issuedDigest(peppers.current(), root.tenantId, root.id, presented.secret);
      expect(Buffer.from(root.secretVersions[0]?.digest ?? []).equals(digest)).toBe(true);
      await store.close();
    },
  );

  it("that write at once get revisions without gap, and nothing is lost", async () => {
    await (await openTestStore({ url })).close();
    const children = await start(2, "write", 150);
    await Promise.all(children.map((child) => child.ended()));
    const acknowledged = children.flatMap(({ said }) => said);
    const revisions = acknowledged.map(({ revision }) => Number(revision)).sort((a, b) => a - b);
    expect(revisions).toEqual(Array.from({ length: 300 }, (_, i) => i + 1));
    const events = await query("SELECT revision, tenant_id FROM audit_event ORDER BY revision");
    expect(events).toHaveLength(300);
    for (const { revision, tenantId } of acknowledged) expect(events[Number(revision) - 1]?.tenant_id).toBe(tenantId);
    expect(await chainFaults({ query })).toEqual([]);
  });

  it("lose nothing that was acknowledged when they are killed", async () => {
    await (await openTestStore({ url })).close();
    const children = await start(2, "write", 100_000);
    await Promise.all(children.map((child) => child.saidAtLeast(40)));
    await Promise.all(children.map((child) => child.kill()));
    const acknowledged = children.flatMap(({ said }) => said);
    const events = await query("SELECT tenant_id FROM audit_event ORDER BY revision");
    expect(events.length).toBeGreaterThanOrEqual(acknowledged.length);
    for (const { revision, tenantId } of acknowledged) expect(events[Number(revision) - 1]?.tenant_id).toBe(tenantId);
    expect(await chainFaults({ query })).toEqual([]);
    const store = await openTestStore({ url });
    expect((await store.head()).revision).toBe(BigInt(events.length));
    await store.close();
  });
});
