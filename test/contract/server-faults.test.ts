import { createConnection } from "mariadb";
import { Client } from "pg";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Tail } from "../../services/changes/tail.ts";
import type { TenantId } from "../../services/core/ids.ts";
import type { Store } from "../../services/store/port.ts";
import { createTestDatabase, mariadbOptions, type TestDatabase } from "../support/databases.ts";
import { requirement } from "../support/requirements.ts";
import { startTcpProxy, type TcpProxy } from "../support/tcp-proxy.ts";
import { changed, inserting, newKeyId, sampleAudit, sampleKey, sampleTenant } from "./samples.ts";
import { storeUrlOf } from "./server-stores.ts";
import { openTestStore } from "./sqlite-files.ts";

const postgres = await requirement("postgres");
const mariadb = await requirement("mariadb");

postgres.describe("with a PostgreSQL server", (url) =>
  describeFaults("PostgreSQL", url, "postgresql:", async (database) => {
    const client = new Client({ connectionString: database });
    await client.connect();
    await client.query("BEGIN; LOCK TABLE api_key IN ACCESS EXCLUSIVE MODE");
    return () => client.end();
  }),
);
mariadb.describe("with a MariaDB server", (url) =>
  describeFaults("MariaDB", url, "mysql:", async (database) => {
    const connection = await createConnection(mariadbOptions(database));
    await connection.query("LOCK TABLES api_key WRITE");
    return () => connection.end();
  }),
);

const impatient = { connectMs: 400, statementMs: 600, silenceMs: 800 };
const unavailable = { reason: "STORE_UNAVAILABLE", retryAfterMs: expect.any(Number) };

function describeFaults(
  name: string,
  serverUrl: string,
  scheme: string,
  /** Lets every statement about keys wait, until what it gives is called. */
  lockKeys: (databaseUrl: string) => Promise<() => Promise<void>>,
): void {
  describe(`a store on ${name} whose connections fail`, () => {
    let database: TestDatabase;
    let proxy: TcpProxy;
    let store: Store;
    let tenantId: TenantId;

    beforeEach(async () => {
      database = await createTestDatabase(serverUrl);
      const { hostname, port } = new URL(serverUrl);
      proxy = await startTcpProxy({ host: hostname, port: Number(port || (scheme === "mysql:" ? 3306 : 5432)) });
      const url = new URL(storeUrlOf(database, scheme));
      url.port = String(proxy.port);
      url.searchParams.set("connection_limit", "3");
      store = await openTestStore({ url: url.href, serverLimits: impatient });
      const tenant = sampleTenant();
      tenantId = tenant.id;
      await store.mutate(async (tx) => {
        await tx.insertTenant(tenant);
        return { result: 0, change: { kind: "tenant", tenantId, event: "created" }, audit: sampleAudit(tenantId) };
      });
    });
    afterEach(async () => {
      proxy.restore();
      await store.close();
      await proxy.end();
      await database.drop();
    });

    const asks: readonly (() => Promise<unknown>)[] = [
      () => store.head(),
      () => store.getKey(newKeyId()),
      () => store.changesAfter(0n, 10),
      () => store.getTenant(tenantId),
      () => store.mutate(inserting(sampleKey(tenantId))),
      () => store.rebindSecret(newKeyId(), 1, "pep_1", "pep_2", new Uint8Array(32)),
    ];

    it("has no answers while the database is gone, and has them again within two seconds of its return", async () => {
      for (let round = 0; round < 2; round++) {
        proxy.close();
        for (const ask of asks) await expect(ask()).rejects.toMatchObject(unavailable);
        proxy.restore();
        // The pool may be between two attempts to connect.
        await answering(() => store.head(), 2_000 / impatient.connectMs);
        for (const ask of asks) await ask();
      }
      expect((await store.head()).revision).toBe(3n);
    });

    it("has answers again within two seconds, however often it was refused before", async () => {
      proxy.close();
      const refusals = Array.from({ length: 4 }, async () => {
        for (let i = 0; i < 8; i++) await expect(store.head()).rejects.toMatchObject(unavailable);
      });
      await Promise.all(refusals);
      proxy.restore();
      // Each that is refused took at most as long as a connection is waited for.
      await answering(() => store.head(), 2_000 / impatient.connectMs);
    });

    it("has no answers while the database is silent, and gives up the silent connections", async () => {
      proxy.stall();
      const asked = await Promise.allSettled(asks.map((ask) => ask()));
      for (const answer of asked) expect(answer).toMatchObject({ status: "rejected", reason: unavailable });
      proxy.restore();
      await answering(() => store.mutate(inserting(sampleKey(tenantId))));
      for (const ask of asks) await ask();
    });

    it("refuses what finds no connection because all of them wait for a slow database, and has answers again after", async () => {
      for (let round = 0; round < 2; round++) {
        const unlock = await lockKeys(database.url);
        // Three connections wait for the lock, until a statement has taken too long; the rest wait for a connection.
        const asked = await Promise.allSettled(Array.from({ length: 12 }, () => store.getKey(newKeyId())));
        for (const answer of asked) expect(answer).toMatchObject({ status: "rejected", reason: unavailable });
        await unlock();
        await answering(() => store.getKey(newKeyId()), 2_000 / impatient.connectMs);
        for (const ask of asks) await ask();
      }
    });

    it("leaves nothing of a transaction whose connection is cut in the middle", async () => {
      const key = sampleKey(tenantId);
      const cut = store.mutate(async (tx) => {
        await tx.insertKey(key);
        proxy.cut();
        await tx.getTenant(tenantId);
        return changed(undefined, tenantId, key.id);
      });
      await expect(cut).rejects.toMatchObject(unavailable);
      expect(await answering(() => store.getKey(key.id))).toBeUndefined();
      expect((await store.mutate(inserting(key))).revision).toBe(2n);
    });

    it("doesn't answer a transaction whose connection is cut at the commit, and says the truth afterwards", async () => {
      const key = sampleKey(tenantId);
      proxy.onceSent("COMMIT", () => proxy.cut());
      await expect(store.mutate(inserting(key))).rejects.toMatchObject(unavailable);
      const done = (await answering(() => store.getKey(key.id))) !== undefined;
      expect((await store.head()).revision).toBe(done ? 2n : 1n);
    });

    it("reads while all that may write wait for the lock", async () => {
      const release: (() => void)[] = [];
      const writing = Array.from({ length: 6 }, () =>
        store.mutate(async () => {
          await new Promise<void>((resolve) => release.push(resolve));
          return changed(undefined, tenantId);
        }),
      );
      while (release.length === 0) await store.head();
      for (const ask of asks.slice(0, 4)) await ask();
      for (let left = writing.length; left > 0; left--) {
        while (release.length === 0) await store.head();
        release.pop()?.();
      }
      expect((await Promise.all(writing)).map(({ revision }) => Number(revision)).sort()).toEqual([2, 3, 4, 5, 6, 7]);
    });

    it("is followed again by the log's reader without a restart, which misses nothing", async () => {
      const told: bigint[] = [];
      const log = { info() {}, warn() {}, error() {} };
      const tail = new Tail({ store, clock: { now: Date.now }, log });
      tail.subscribe((event) => void (event.kind === "change" && told.push(event.row.revision)));
      await tail.start();
      proxy.close();
      await expect(store.mutate(inserting(sampleKey(tenantId)))).rejects.toMatchObject(unavailable);
      proxy.restore();
      const { revision } = await answering(() => store.mutate(inserting(sampleKey(tenantId))));
      await tail.reached(revision, AbortSignal.timeout(2_000));
      expect(told).toEqual([2n]);
      await tail.stop();
    });
  });
}

/** Asks again as long as there is no answer: what broke may be noticed by the first who asks. */
async function answering<T>(ask: () => Promise<T>, refusalsMax = 10): Promise<T> {
  for (let tries = 0; ; tries++) {
    try {
      return await ask();
    } catch (error) {
      if (tries >= refusalsMax) throw error;
      expect(error).toMatchObject(unavailable);
    }
  }
}
