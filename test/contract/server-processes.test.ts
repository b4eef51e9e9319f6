import { createConnection } from "mariadb";
import { Client } from "pg";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Tail } from "../../services/changes/tail.ts";
import "../support/build-dist.ts";
import { createTestDatabase, mariadbOptions, type TestDatabase } from "../support/databases.ts";
import { requirement } from "../support/requirements.ts";
import { temporaryFolder } from "../support/server-process.ts";
import { chainFaults } from "./chain.ts";
import { storeUrlOf } from "./server-stores.ts";
import { openTestStore } from "./sqlite-files.ts";
import { type StoreChild, startStoreChild } from "./store-children.ts";

interface Connection {
  query(sql: string): Promise<readonly Record<string, unknown>[]>;
  end(): Promise<void>;
}

const postgres = await requirement("postgres");
const mariadb = await requirement("mariadb");

const overPg = async (url: string): Promise<Connection> => {
  const client = new Client({ connectionString: url });
  await client.connect();
  return { query: async (sql) => (await client.query(sql)).rows, end: () => client.end() };
};
const overMariadb = async (url: string): Promise<Connection> => {
  const connection = await createConnection(mariadbOptions(url));
  return {
    query: async (sql) => {
      const answer = await connection.query(sql);
      return Array.isArray(answer) ? [...answer] : [];
    },
    end: () => connection.end(),
  };
};

postgres.describe("with a PostgreSQL server", (url) => {
  describeProcesses("PostgreSQL", url, "postgresql:", overPg);
  // What differs for CockroachDB is the lock.
  describeProcesses("PostgreSQL in CockroachDB's place", url, "cockroachdb:", overPg, false);
});
mariadb.describe("with a MariaDB server", (url) => describeProcesses("MariaDB", url, "mysql:", overMariadb));

function describeProcesses(
  name: string,
  serverUrl: string,
  scheme: string,
  connect: typeof overPg,
  writing = true,
): void {
  describe(`several processes on ${name}`, () => {
    let database: TestDatabase;
    let folder: ReturnType<typeof temporaryFolder>;
    let url: string;
    let one: Connection;
    let other: Connection;

    beforeEach(async () => {
      database = await createTestDatabase(serverUrl);
      folder = temporaryFolder("processes");
      url = storeUrlOf(database, scheme);
      [one, other] = [await connect(database.url), await connect(database.url)];
    });
    afterEach(async () => {
      await Promise.all([one.end(), other.end()]);
      await database.drop();
      folder.remove();
    });

    async function start(count: number, mode: "start" | "write" | "crowd", writes = 0): Promise<readonly StoreChild[]> {
      const children = await Promise.all(
        Array.from({ length: count }, () => startStoreChild(mode, url, folder.path, writes)),
      );
      for (const child of children) child.go();
      return children;
    }

    it("that start at once on nothing migrate once and make one tenant, one pepper, one root", async () => {
      const children = await start(3, "start");
      await Promise.all(children.map((child) => child.ended()));
      expect(new Set(children.flatMap(({ said }) => said.map(({ storeEpoch }) => storeEpoch))).size).toBe(1);
      expect(await one.query("SELECT slug FROM tenant")).toEqual([{ slug: "default" }]);
      expect(await one.query("SELECT id FROM api_key")).toHaveLength(1);
      expect(await one.query("SELECT action FROM audit_event WHERE action = 'Bootstrap'")).toHaveLength(1);
      const migrations = await one.query("SELECT migration_name AS name FROM _prisma_migrations");
      expect(new Set(migrations.map((row) => row.name)).size).toBe(migrations.length);
      expect(await chainFaults(one)).toEqual([]);
    });

    if (!writing) return;

    it("that write by twenties at once get revisions without gap, and a reader of the log misses none", async () => {
      const store = await openTestStore({ url });
      const told: bigint[] = [];
      const resets: string[] = [];
      const log = { info() {}, warn() {}, error() {} };
      const tail = new Tail({ store, clock: { now: Date.now }, log });
      tail.subscribe((event) => {
        if (event.kind === "change") told.push(event.row.revision);
        else resets.push(event.reason);
      });
      await tail.start();
      const children = await start(2, "crowd", 100);
      let running = true;
      const ended = Promise.all(children.map((child) => child.ended())).finally(() => {
        running = false;
      });
      // As fast as it can, so that it looks between any two commits.
      while (running) {
        tail.wake();
        await store.head();
      }
      await ended;
      await tail.reached(200n, AbortSignal.timeout(5_000));
      await tail.stop();
      await store.close();
      expect(told).toEqual(Array.from({ length: 200 }, (_, i) => BigInt(i + 1)));
      expect(resets).toEqual([]);
      const acknowledged = children.flatMap(({ said }) => said);
      expect(new Set(acknowledged.map(({ revision }) => revision)).size).toBe(200);
      expect(await chainFaults(one)).toEqual([]);
    });

    it("would be misread by who takes the highest number seen for all before it", async () => {
      await one.query("CREATE TABLE entry (number INT PRIMARY KEY)");
      await one.query("BEGIN");
      await one.query("INSERT INTO entry VALUES (1)");
      await other.query("INSERT INTO entry VALUES (2)");
      const seen: number[] = [];
      const read = async () => {
        const rows = await other.query(`SELECT number FROM entry WHERE number > ${seen.at(-1) ?? 0} ORDER BY number`);
        seen.push(...rows.map((row) => Number(row.number)));
      };
      await read();
      await one.query("COMMIT");
      await read();
      expect(seen).toEqual([2]);
    });

    it("lose nothing that was acknowledged when they are killed", async () => {
      await (await openTestStore({ url })).close();
      const children = await start(2, "crowd", 100_000);
      await Promise.all(children.map((child) => child.saidAtLeast(40)));
      await Promise.all(children.map((child) => child.kill()));
      // What a killed process had begun, the server ends on its own; this waits for the lock that it may still hold.
      const store = await openTestStore({ url });
      await store.mutate(async () => ({ result: undefined, unchanged: true }));
      const acknowledged = children.flatMap(({ said }) => said);
      const events = await one.query("SELECT tenant_id FROM audit_event ORDER BY revision");
      for (const { revision, tenantId } of acknowledged) expect(events[Number(revision) - 1]?.tenant_id).toBe(tenantId);
      expect(await chainFaults(one)).toEqual([]);
      await store.close();
    });
  });
}
