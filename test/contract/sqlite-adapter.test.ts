import { randomBytes } from "node:crypto";
import { statSync } from "node:fs";
import { join } from "node:path";
import { PrismaBetterSqlite3 } from "@prisma/adapter-better-sqlite3";
import type { SqlDriverAdapterFactory } from "@prisma/driver-adapter-utils";
import Database from "better-sqlite3";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { PrismaClient } from "../../gen/prisma/sqlite/client.ts";
import { migrationsFolder, readMigrations } from "../../services/store/migrations.ts";
import { lockWaitMsDefault } from "../../services/store/mutex.ts";
import { sqliteBackend } from "../../services/store/prisma-sqlite.ts";
import { sqliteAdapterFactory } from "../../services/store/prisma-sqlite-adapter.ts";
import { PrismaStore } from "../../services/store/prisma-store.ts";
import { SqliteConnections } from "../../services/store/sqlite-connections.ts";
import { migrateSqlite } from "../../services/store/sqlite-migrate.ts";
import { FakeClock } from "../fakes/clock.ts";
import { temporaryFolder } from "../support/server-process.ts";
import { changed, inserting, sampleKey, sampleTenant } from "./samples.ts";

const impatientMs = 100;
let folder: ReturnType<typeof temporaryFolder>;
let path: string;
let connections: SqliteConnections;
let client: PrismaClient;

beforeEach(async () => {
  folder = temporaryFolder("adapter");
  path = join(folder.path, "ichor.db");
  connections = await SqliteConnections.open(path, lockWaitMsDefault);
  const migrations = readMigrations(migrationsFolder("sqlite"));
  await migrateSqlite(connections, { migrations, apply: true, storeEpoch: "00" });
  client = new PrismaClient({ adapter: sqliteAdapterFactory(connections) });
});
afterEach(async () => {
  await client.$disconnect();
  connections.close();
  folder.remove();
});

const revision = async (db: Pick<PrismaClient, "storeHead">) =>
  (await db.storeHead.findUniqueOrThrow({ where: { id: "head" } })).revision;
const setRevision = (db: Pick<PrismaClient, "storeHead">, to: bigint) =>
  db.storeHead.update({ where: { id: "head" }, data: { revision: to } });
const insert = (db: Pick<PrismaClient, "keyScope">, scope: string) =>
  db.keyScope.create({ data: { tenantId: "t", scope, keyId: "k" } });
const count = (db: Pick<PrismaClient, "keyScope">) => db.keyScope.count();
const rolledBack = new Error("rolled back");

/** Lets every promise that is ready run. */
async function settled(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
}

/** What a read beside a transaction saw of what that transaction never committed: 0 is right. */
async function readBesideTransaction(db: PrismaClient): Promise<bigint> {
  let seen = -1n;
  const transaction = db.$transaction(async (tx) => {
    await setRevision(tx, 100n);
    seen = await revision(db);
    throw rolledBack;
  });
  await expect(transaction).rejects.toBe(rolledBack);
  return seen;
}

/** How many rows are left of one write that was acknowledged beside a transaction that rolled back: 1 is right. */
async function writeBesideTransaction(db: PrismaClient): Promise<number> {
  let acknowledged: Promise<unknown> | undefined;
  const transaction = db.$transaction(async (tx) => {
    await setRevision(tx, 100n);
    acknowledged = insert(db, "beside").then((row) => row);
    await settled();
    throw rolledBack;
  });
  await expect(transaction).rejects.toBe(rolledBack);
  await acknowledged;
  return count(db);
}

describe("the stock adapter (the reason for our own)", () => {
  let stock: PrismaClient;
  beforeEach(() => {
    stock = new PrismaClient({ adapter: new PrismaBetterSqlite3({ url: `file:${path}` }) as SqlDriverAdapterFactory });
  });
  afterEach(() => stock.$disconnect());

  it("shows a read what a transaction hasn't committed", async () => {
    expect(await readBesideTransaction(stock)).toBe(100n);
  });

  it("loses an acknowledged write when a transaction beside it rolls back", async () => {
    expect(await writeBesideTransaction(stock)).toBe(0);
  });
});

describe("our adapter", () => {
  it("shows a read only what is committed", async () => {
    expect(await readBesideTransaction(client)).toBe(0n);
  });

  it("keeps an acknowledged write whatever a transaction beside it does", async () => {
    expect(await writeBesideTransaction(client)).toBe(1);
  });

  it("sets what durability needs", () => {
    expect(connections.writer.pragma("journal_mode", { simple: true })).toBe("wal");
    expect(Number(connections.writer.pragma("synchronous", { simple: true }))).toBe(2);
    expect(Number(connections.writer.pragma("foreign_keys", { simple: true }))).toBe(1);
    expect(Number(connections.writer.pragma("busy_timeout", { simple: true }))).toBe(0);
    expect(Number(connections.reader.pragma("busy_timeout", { simple: true }))).toBe(0);
    expect(() => connections.reader.exec("DELETE FROM key_scope")).toThrow(/readonly/);
  });

  it("keeps the database and its side files from others", async () => {
    await insert(client, "a");
    for (const suffix of ["", "-wal", "-shm"]) expect(statSync(path + suffix).mode & 0o777).toBe(0o600);
  });

  it("goes on after a lock that it couldn't get, as often as that happens", async () => {
    const impatient = await SqliteConnections.open(path, impatientMs);
    const waiting = new PrismaClient({ adapter: sqliteAdapterFactory(impatient) });
    const other = new Database(path);
    other.exec("BEGIN IMMEDIATE");
    for (let i = 0; i < 3; i++) {
      await expect(waiting.$transaction((tx) => setRevision(tx, 1n))).rejects.toMatchObject({ code: "P1008" });
      await expect(insert(waiting, "a")).rejects.toMatchObject({ code: "P1008" });
      expect(await revision(waiting)).toBe(0n);
    }
    other.exec("ROLLBACK");
    other.close();
    await waiting.$transaction((tx) => setRevision(tx, 1n));
    await insert(waiting, "a");
    expect(await revision(waiting)).toBe(1n);
    await waiting.$disconnect();
    impatient.close();
  });

  it("goes on after a transaction that was given up while it waited for the lock", async () => {
    const release = await connections.beginWriting();
    await expect(client.$transaction((tx) => setRevision(tx, 1n), { maxWait: 20 })).rejects.toMatchObject({
      code: "P2028",
    });
    release();
    await insert(client, "a");
    expect(await count(client)).toBe(1);
  });

  it("ends a transaction that takes too long, and lets none of it through", async () => {
    const transaction = client.$transaction(
      async (tx) => {
        await setRevision(tx, 1n);
        // Until the time is up, each write takes its turn; then the transaction refuses them.
        for (;;) {
          await settled();
          await insert(tx, `${performance.now()}`);
        }
      },
      { timeout: 50 },
    );
    await expect(transaction).rejects.toMatchObject({ code: "P2028" });
    expect(await count(client)).toBe(0);
    expect(await revision(client)).toBe(0n);
    await insert(client, "a");
  });

  it("runs a writing WITH and INSERT … RETURNING on the writer", async () => {
    await client.$queryRaw`INSERT INTO key_scope (tenant_id, scope, key_id) VALUES ('t', 'a', 'k') RETURNING scope`;
    await client.$queryRaw`WITH x AS (SELECT 'b' AS s) INSERT INTO key_scope SELECT 't', s, 'k' FROM x`;
    await client.$executeRaw`WITH x AS (SELECT 'c' AS s) INSERT INTO key_scope SELECT 't', s, 'k' FROM x`;
    expect(await count(client)).toBe(3);
  });

  it("leaves nothing half written when the disk is full, and goes on once it isn't", async () => {
    connections.writer.pragma(`max_page_count = ${connections.writer.pragma("page_count", { simple: true })}`);
    const filling = client.$transaction(async (tx) => {
      await setRevision(tx, 1n);
      for (let i = 0; ; i++)
        await insert(tx, `${i}`.padStart(1_000, "x")).catch((error) => (i > 400 ? Promise.reject(error) : undefined));
    });
    await expect(filling).rejects.toThrow();
    expect(await count(client)).toBe(0);
    expect(await revision(client)).toBe(0n);
    connections.writer.pragma("max_page_count = 100000");
    await insert(client, "a");
    expect(await count(client)).toBe(1);
  });

  it("gives a store that tells of a full disk as unavailable, and numbers on without gap after", async () => {
    const deps = { clock: new FakeClock(), random: randomBytes, log: { info() {}, error() {} } };
    const store = new PrismaStore(sqliteBackend(connections), deps);
    const tenant = sampleTenant();
    await store.mutate(async (tx) => {
      await tx.insertTenant(tenant);
      return changed(undefined, tenant.id);
    });
    connections.writer.pragma(`max_page_count = ${connections.writer.pragma("page_count", { simple: true })}`);
    const keys = Array.from({ length: 500 }, () => sampleKey(tenant.id));
    await expect(store.mutate(inserting(...keys))).rejects.toMatchObject({
      reason: "STORE_UNAVAILABLE",
      retryAfterMs: expect.any(Number),
    });
    connections.writer.pragma("max_page_count = 100000");
    expect((await store.mutate(inserting(...keys))).revision).toBe(2n);
    expect(await client.changeLog.count()).toBe(2);
  });
});
