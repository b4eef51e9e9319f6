import { createConnection } from "mariadb";
import { Client } from "pg";
import { afterAll } from "vitest";
import { createTestDatabase, mariadbOptions, type TestDatabase } from "../support/databases.ts";
import { readModels } from "../support/models.ts";
import { openTestStore } from "./sqlite-files.ts";
import type { OpenTestStore, TestStore } from "./store.contract.ts";

const models = readModels("prisma/models.prisma");

/** Stores on databases of their own on a PostgreSQL server; with `cockroachdb:` by the rules for that one. */
export function postgresTestStores(serverUrl: string, scheme: "postgresql:" | "cockroachdb:"): OpenTestStore {
  return openOn(serverUrl, scheme, async (url) => {
    const client = new Client({ connectionString: url });
    // The database may be dropped while this is connected.
    client.on("error", () => {});
    await client.connect();
    return {
      query: async (sql) => (await client.query(sql.replaceAll(/X'([0-9a-f]*)'/g, "'\\x$1'::bytea"))).rows,
      end: () => client.end(),
    };
  });
}

/** The same on a MariaDB server. */
export function mariadbTestStores(serverUrl: string): OpenTestStore {
  return openOn(serverUrl, "mysql:", async (url) => {
    const connection = await createConnection(mariadbOptions(url));
    return {
      query: async (sql) => {
        const answer = await connection.query(sql);
        return Array.isArray(answer) ? [...answer] : [];
      },
      end: () => connection.end(),
    };
  });
}

interface Asker {
  readonly query: TestStore["query"];
  end(): Promise<void>;
}

/** Databases are made for the first tests, and emptied for the next: making them costs more than the tests. */
function openOn(serverUrl: string, scheme: string, connect: (url: string) => Promise<Asker>): OpenTestStore {
  const all: TestDatabase[] = [];
  const free: TestDatabase[] = [];
  afterAll(() => Promise.all(all.map((database) => database.drop())));
  return async (options) => {
    const database = free.pop() ?? (await createTestDatabase(serverUrl));
    if (!all.includes(database)) all.push(database);
    const store = await openTestStore({ url: storeUrlOf(database, scheme), ...options });
    const asker = await connect(database.url);
    return {
      store,
      query: asker.query,
      lockHead: async () => {
        await asker.query("BEGIN");
        await asker.query("SELECT * FROM store_head FOR UPDATE");
        return async () => void (await asker.query("ROLLBACK"));
      },
      remove: async () => {
        await store.close();
        // Backwards, so that rows go before those that they refer to.
        for (const { table } of [...models].reverse()) await asker.query(`DELETE FROM ${table}`);
        await asker.end();
        free.push(database);
      },
    };
  };
}

/** What ICHOR_DATABASE_URL would say of the database. */
export function storeUrlOf(database: TestDatabase, scheme: string): string {
  return database.url.replace(/^[a-z]+:/, scheme);
}
