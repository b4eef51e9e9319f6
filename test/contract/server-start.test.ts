import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createConnection } from "mariadb";
import { Client } from "pg";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { StoreOptions } from "../../services/store/open-store.ts";
import { StoreStartError } from "../../services/store/start-error.ts";
import { makeCertificate } from "../support/certificate.ts";
import { createTestDatabase, mariadbOptions, type TestDatabase } from "../support/databases.ts";
import { freePort } from "../support/free-port.ts";
import { startPostgresTls } from "../support/postgres-tls.ts";
import { requirement } from "../support/requirements.ts";
import { temporaryFolder } from "../support/server-process.ts";
import { storeUrlOf } from "./server-stores.ts";
import { openTestStore, silent } from "./sqlite-files.ts";

const postgres = await requirement("postgres");
const mariadb = await requirement("mariadb");

postgres.describe("with a PostgreSQL server", (serverUrl) => {
  const { query, refusal, database } = describeStart("PostgreSQL", serverUrl, "postgresql:", async (url, sql) => {
    const client = new Client({ connectionString: url });
    await client.connect();
    await client.query(sql).finally(() => client.end());
  });

  it("speaks TLS as the URL asks: with a certificate that it knows and that names the host, unless told otherwise", async () => {
    const folder = temporaryFolder("database-tls");
    const files = makeCertificate(folder.path);
    const { hostname, port } = new URL(serverUrl);
    const tls = await startPostgresTls({ host: hostname, port: Number(port || 5432) }, files);
    const through = (host: string, search: string) =>
      Object.assign(new URL(storeUrlOf(database(), "postgresql:")), { host: `${host}:${tls.port}`, search }).href;
    const known = `&sslrootcert=${files.certFile}`;
    for (const url of [
      through("localhost", `?sslmode=verify-full${known}`),
      through("127.0.0.1", `?sslmode=verify-full${known}`),
      // Another name of this machine, which the certificate doesn't have.
      through("127.0.0.2", `?sslmode=verify-ca${known}`),
      through("127.0.0.1", "?sslmode=require"),
    ]) {
      const store = await openTestStore({ url });
      expect((await store.head()).revision).toBe(0n);
      await store.close();
    }
    for (const url of [
      through("127.0.0.1", "?sslmode=verify-full"),
      through("127.0.0.1", "?sslmode=verify-ca"),
      through("127.0.0.2", `?sslmode=verify-full${known}`),
    ]) {
      expect(await refusal({ url })).toMatch(/by TLS that is verified/);
    }
    await tls.end();
    folder.remove();
  });

  it("refuses a database that acknowledges before it is durable, and reports others that are weak", async () => {
    await query(`ALTER DATABASE ${database().name} SET synchronous_commit = off`);
    expect(await refusal()).toMatch(/synchronous_commit is off/);
  });
});

mariadb.describe("with a MariaDB server", (serverUrl) => {
  const { query, refusal } = describeStart("MariaDB", serverUrl, "mysql:", async (url, sql) => {
    const connection = await createConnection(mariadbOptions(url));
    await connection.query(sql).finally(() => connection.end());
  });

  it("refuses a database whose migration stopped half-way, since there it can't be rolled back", async () => {
    const folder = temporaryFolder("migrations");
    mkdirSync(join(folder.path, "20260101000000_first"));
    writeFileSync(
      join(folder.path, "20260101000000_first", "migration.sql"),
      "CREATE TABLE a (b INT); CREATE TABLE a (b INT);",
    );
    expect(await refusal({ migrationsFolder: folder.path })).toMatch(
      /migration 20260101000000_first failed: .*already exists/,
    );
    expect(await refusal({ migrationsFolder: folder.path })).toMatch(/20260101000000_first stopped half-way/);
    folder.remove();
    await query("SELECT 1");
  });
});

function describeStart(
  name: string,
  serverUrl: string,
  scheme: string,
  ask: (url: string, sql: string) => Promise<void>,
) {
  let database: TestDatabase;
  let url: string;
  beforeEach(async () => {
    database = await createTestDatabase(serverUrl);
    url = storeUrlOf(database, scheme);
  });
  afterEach(() => database.drop());

  const query = (sql: string) => ask(database.url, sql);
  const refusal = async (options: Partial<StoreOptions> = {}) => {
    const opened = await openTestStore({ url, ...options }).catch((error: unknown) => error);
    expect(opened).toBeInstanceOf(StoreStartError);
    return (opened as Error).message;
  };
  /** The URL with parts changed; what is refused must not quote its password. */
  const other = (changes: Partial<URL>) => Object.assign(new URL(url), { password: "hunter2", ...changes }).href;

  describe(`opening a store on ${name}`, () => {
    it("migrates once, and not without being allowed to", async () => {
      expect(await refusal({ migrate: false })).toMatch(/migrations are pending/);
      const applied: string[][] = [];
      const onMigrated = (names: readonly string[]) => void applied.push([...names]);
      for (let i = 0; i < 2; i++) await (await openTestStore({ url, onMigrated })).close();
      await (await openTestStore({ url, onMigrated, migrate: false })).close();
      expect(applied).toEqual([expect.arrayContaining([expect.stringMatching(/_init$/)]), [], []]);
    });

    it("refuses a database of a newer version, an edited migration, and somebody else's tables", async () => {
      await query("CREATE TABLE theirs (id INT)");
      expect(await refusal()).toMatch(/isn't Ichor's: it holds a table theirs/);
      await query("DROP TABLE theirs");
      await (await openTestStore({ url })).close();
      await query("UPDATE _prisma_migrations SET migration_name = '99990101000000_later'");
      expect(await refusal()).toMatch(/newer version: it has the migration 99990101000000_later/);
      await query("UPDATE _prisma_migrations SET migration_name = '20261124000000_init', checksum = 'x'");
      expect(await refusal()).toMatch(/was edited after it was applied/);
    });

    it("says what is wrong with the way to the database, and never its password", async () => {
      const unused = await freePort();
      const told = [
        await refusal({ url: other({ pathname: "/nowhere_at_all" }) }),
        await refusal({ url: other({ port: String(unused) }) }),
        await refusal({ url: other({ search: "?sslmode=verify-full&sslrootcert=/nowhere.pem" }) }),
      ];
      expect(told[0]).toMatch(/isn't there: create the database|refuses the user or the password/);
      expect(told[1]).toMatch(new RegExp(`//[^/]*:${unused}/.* can't be reached`));
      expect(told[2]).toMatch(/\/nowhere.pem of the database URL's sslrootcert can't be read \(ENOENT\)/);
      for (const text of told) expect(text).not.toContain("hunter2");
    });

    it("doesn't go on without TLS where it is asked for", async () => {
      // Neither server's certificate, if it has one, is signed by an authority that the system knows.
      expect(await refusal({ url: other({ search: "?sslmode=verify-full", password: "" }) })).toMatch(
        /by TLS that is verified/,
      );
    });

    it("tells the log nothing of a database that is sound", async () => {
      const told: object[] = [];
      await (await openTestStore({ url, log: { ...silent, error: (fields) => void told.push(fields) } })).close();
      // A test server may be set to be fast; what it is told of then is its settings, and its place without the user.
      for (const fields of told)
        expect(fields).toEqual({ database: expect.not.stringContaining("@"), setting: expect.any(String) });
    });
  });
  return { query, refusal, database: () => database };
}
