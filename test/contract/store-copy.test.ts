import { randomBytes } from "node:crypto";
import { join } from "node:path";
import Database from "better-sqlite3";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { recordCopy } from "../../services/changes/record-copy.ts";
import { type CopyOptions, copyStore, unfenceStore } from "../../services/store/copy-store.ts";
import type { Store } from "../../services/store/port.ts";
import { StoreStartError } from "../../services/store/start-error.ts";
import { createTestDatabase, type TestDatabase } from "../support/databases.ts";
import { fillTables } from "../support/fill-tables.ts";
import { requirement } from "../support/requirements.ts";
import { temporaryFolder } from "../support/server-process.ts";
import { chainFaults } from "./chain.ts";
import { inserting, sampleAudit, sampleKey, sampleTenant } from "./samples.ts";
import { models } from "./schema.ts";
import { storeUrlOf } from "./server-stores.ts";
import { openTestStore, silent } from "./sqlite-files.ts";

const postgres = await requirement("postgres");
const mariadb = await requirement("mariadb");

const deps = { clock: { now: Date.now }, random: randomBytes, log: silent };

let folder: ReturnType<typeof temporaryFolder>;
let from: string;
let to: string;
beforeEach(() => {
  folder = temporaryFolder("store-copy");
  [from, to] = [`file:${join(folder.path, "from.db")}`, `file:${join(folder.path, "to.db")}`];
});
afterEach(() => folder.remove());

const copy = (options: Partial<CopyOptions> = {}) => copyStore({ from, to, ...deps, ...options });
const refusal = async (work: Promise<unknown>): Promise<string> => {
  const error = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(StoreStartError);
  return (error as Error).message;
};

/** A store with a tenant and some keys, at revision 2. */
async function makeStore(url: string, keys: number): Promise<Store> {
  const store = await openTestStore({ url });
  const tenant = sampleTenant();
  await store.mutate(async (tx) => {
    await tx.insertTenant(tenant);
    return {
      result: 0,
      change: { kind: "tenant", tenantId: tenant.id, event: "created" },
      audit: sampleAudit(tenant.id),
    };
  });
  await store.mutate(inserting(...Array.from({ length: keys }, () => sampleKey(tenant.id))));
  return store;
}

function sqlite(url: string): Database.Database {
  return new Database(url.slice("file:".length));
}

describe("a copy of a store", () => {
  it("stands where its source stood, under another epoch, and goes on in the same chain", async () => {
    const store = await makeStore(from, 3);
    const head = await store.head();
    await store.close();
    const report = await copy();
    const copied = await openTestStore({ url: to });
    expect(await copied.head()).toEqual({ ...head, storeEpoch: report.storeEpoch });
    expect(report).toMatchObject({ revision: head.revision, resumedAt: 0 });
    expect(report.storeEpoch).not.toBe(head.storeEpoch);
    await recordCopy(copied, report);
    await recordCopy(copied, report);
    await copied.close();
    const db = sqlite(to);
    const query = async (sql: string) => db.prepare(sql).safeIntegers().all() as Record<string, unknown>[];
    expect((await query("SELECT action, target FROM audit_event ORDER BY revision")).at(-1)).toEqual({
      action: "CopyStore",
      target: report.storeEpoch,
    });
    expect(await chainFaults({ query })).toEqual([]);
    db.close();
  });

  it("fences its source: who has it open changes nothing, no server starts, until it is given up", async () => {
    const store = await makeStore(from, 1);
    await copy();
    const unavailable = { reason: "STORE_UNAVAILABLE" };
    const tenant = await store.getTenantBySlug("default");
    if (tenant === undefined) throw new Error("gone");
    await expect(store.mutate(inserting(sampleKey(tenant.id)))).rejects.toMatchObject(unavailable);
    await expect(store.head()).rejects.toMatchObject(unavailable);
    await expect(store.compactChanges(Date.now(), 1)).rejects.toMatchObject(unavailable);
    expect(await refusal(openTestStore({ url: from }))).toMatch(/was fenced by "ichor store copy"/);
    expect(await unfenceStore(from, deps)).toBe(true);
    expect(await unfenceStore(from, deps)).toBe(false);
    expect((await store.mutate(inserting(sampleKey(tenant.id)))).revision).toBe(3n);
    await store.close();
    await (await openTestStore({ url: from })).close();
  });

  it("goes on where it was interrupted, and can't be used before it is whole", async () => {
    await (await makeStore(from, 200)).close();
    const stop = new AbortController();
    const stopping = copy({ stop: stop.signal, onProgress: ({ done }) => done >= 100 && stop.abort() });
    expect(await refusal(stopping)).toMatch(/stopped; the same command goes on/);
    expect(await refusal(openTestStore({ url: to }))).toMatch(/an unfinished copy/);
    expect(await refusal(copy({ from: to, to: `file:${join(folder.path, "third.db")}` }))).toMatch(/unfinished copy/);
    const report = await copy();
    expect(report.resumedAt).toBeGreaterThanOrEqual(100);
    expect(report.tables.find(({ table }) => table === "api_key")?.rows).toBe(200);
    // The same command again finds it done.
    expect(await copy()).toEqual({ ...report, resumedAt: 0, tables: [] });
  });

  it("isn't opened when a table differs, and says which", async () => {
    await (await makeStore(from, 5)).close();
    let spoilt = false;
    const onProgress: CopyOptions["onProgress"] = ({ phase }) => {
      if (phase !== "compare" || spoilt) return;
      spoilt = true;
      const db = sqlite(to);
      db.exec("UPDATE api_key SET name = 'other' WHERE id = (SELECT MAX(id) FROM api_key)");
      db.close();
    };
    expect(await refusal(copy({ onProgress }))).toMatch(
      /the table api_key differs: 5 rows at the source, 5 at the copy/,
    );
    expect(await refusal(openTestStore({ url: to }))).toMatch(/an unfinished copy/);
  });

  it("isn't begun while a server lives, onto itself, onto another store, or of none", async () => {
    const store = await makeStore(from, 1);
    await store.subscriptions.putServer({ id: "srv_1", seenTimeMs: Date.now(), revision: 1n, wantedRevision: 0n });
    expect(await refusal(copy())).toMatch(/stop every server of the store first: srv_1 was heard of \d+ s ago/);
    await store.subscriptions.putServer({ id: "srv_1", seenTimeMs: 0, revision: 1n, wantedRevision: 0n });
    expect(await refusal(copy({ to: from }))).toMatch(/onto itself/);
    const other = `file:${join(folder.path, "other.db")}`;
    await (await makeStore(other, 1)).close();
    expect(await refusal(copy({ to: other }))).toMatch(/holds another store/);
    expect(await refusal(copy({ from: `file:${join(folder.path, "none.db")}` }))).toMatch(/doesn't exist/);
    expect(await refusal(copy({ from: "nonsense" }))).toMatch(/the URL of --from must begin with file:/);
    // None of these fenced it.
    expect((await store.head()).revision).toBe(2n);
    await store.close();
  });
});

postgres.describe("with a PostgreSQL server", (postgresUrl) => {
  mariadb.describe("and a MariaDB server", (mariadbUrl) => {
    const databases: TestDatabase[] = [];
    afterEach(async () => {
      for (const database of databases.splice(0)) await database.drop();
    });
    const place = async (serverUrl: string, scheme: string) => {
      const database = await createTestDatabase(serverUrl);
      databases.push(database);
      return storeUrlOf(database, scheme);
    };

    it("copies every table from SQLite to PostgreSQL to MariaDB to SQLite, and nothing changes on the way", async () => {
      await (await openTestStore({ url: from })).close();
      const db = sqlite(from);
      db.pragma("foreign_keys = ON");
      const rows = await fillTables(models, 130, async (sql, values) => db.prepare(sql).run(...values));
      db.close();
      const way = [from, await place(postgresUrl, "postgresql:"), await place(mariadbUrl, "mysql:"), to];
      const reports = [];
      for (const [i, url] of way.slice(0, -1).entries()) {
        reports.push(await copy({ from: url, to: way[i + 1] as string }));
      }
      const [first] = reports;
      expect(first?.tables.reduce((sum, table) => sum + table.rows, 0)).toBe(rows);
      expect(first?.tables.every((table) => table.rows === 130)).toBe(true);
      for (const report of reports) expect(report.tables).toEqual(first?.tables);
      expect(new Set(reports.map(({ storeEpoch }) => storeEpoch)).size).toBe(3);
    });
  });
});
