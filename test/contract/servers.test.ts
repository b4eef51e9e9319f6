import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { Redis } from "ioredis";
import { createConnection } from "mariadb";
import { Client } from "pg";
import { afterAll, beforeAll, expect, it } from "vitest";
import { createTestDatabase, mariadbOptions, type TestDatabase } from "../support/databases.ts";
import { requirement } from "../support/requirements.ts";

// The suites of the adapters trust these servers: here each shows that it is real, and of a version that we support.

const postgres = await requirement("postgres");
const mariadb = await requirement("mariadb");
const redis = await requirement("redis");
const python = await requirement("python");

postgres.describe("PostgreSQL test server", (serverUrl) => {
  const database = testDatabase(serverUrl);

  it("rolls back what a transaction wrote, in a database of the test's own", async () => {
    const client = new Client({ connectionString: database().url });
    await client.connect();
    try {
      await client.query("CREATE TABLE note (id int PRIMARY KEY)");
      await client.query("BEGIN");
      await client.query("INSERT INTO note VALUES (1)");
      await client.query("ROLLBACK");
      const { rows } = await client.query(
        "SELECT current_database() AS name, count(*)::int AS notes, current_setting('server_version_num')::int AS version FROM note",
      );
      expect(rows).toEqual([{ name: database().name, notes: 0, version: expect.any(Number) }]);
      expect(rows[0].version).toBeGreaterThanOrEqual(140_000);
    } finally {
      await client.end();
    }
  });
});

mariadb.describe("MariaDB test server", (serverUrl) => {
  const database = testDatabase(serverUrl);

  it("rolls back what a transaction wrote, in a database of the test's own", async () => {
    const connection = await createConnection(mariadbOptions(database().url));
    try {
      await connection.query("CREATE TABLE note (id int PRIMARY KEY) ENGINE = InnoDB");
      await connection.beginTransaction();
      await connection.query("INSERT INTO note VALUES (1)");
      await connection.rollback();
      const rows = await connection.query("SELECT database() AS name, count(*) AS notes FROM note");
      expect([...rows]).toEqual([{ name: database().name, notes: 0n }]);
      expect(connection.serverVersion()).toMatch(/^(10\.([6-9]|1\d)|1[1-9])\..*MariaDB/);
    } finally {
      await connection.end();
    }
  });
});

redis.describe("Redis test server", (url) => {
  it("runs scripts and tells subscribers, under a prefix of the test's own", async () => {
    const name = `ichor_test_${randomBytes(6).toString("hex")}`;
    const client = new Redis(url, { maxRetriesPerRequest: 1, retryStrategy: () => null });
    const subscriber = client.duplicate();
    try {
      const received = new Promise((resolve) => subscriber.once("message", (_channel, message) => resolve(message)));
      await subscriber.subscribe(name);
      expect(await client.eval("return redis.call('INCRBY', KEYS[1], ARGV[1])", 1, name, 5)).toBe(5);
      expect(await client.publish(name, "woken")).toBe(1);
      expect(await received).toBe("woken");
    } finally {
      await client.del(name);
      client.disconnect();
      subscriber.disconnect();
    }
  });
});

python.describe("Python for foreign clients", (interpreter) => {
  it("has the gRPC and protobuf packages", () => {
    const program = "import grpc, google.protobuf as p; print(grpc.__version__, p.__version__)";
    expect(execFileSync(interpreter, ["-c", program], { encoding: "utf8" })).toMatch(/^1\.\d+\.\d+ \d+\.\d+/);
  });

  it("has protoc with the plug-in that writes Python clients", () => {
    expect(execFileSync("protoc", ["--version"], { encoding: "utf8" })).toMatch(/^libprotoc \d/);
    expect(() => execFileSync("which", ["grpc_python_plugin"])).not.toThrow();
  });
});

/** A database that exists for the tests of one suite. */
function testDatabase(serverUrl: string): () => TestDatabase {
  let database: TestDatabase;
  beforeAll(async () => {
    database = await createTestDatabase(serverUrl);
  });
  afterAll(() => database?.drop());
  return () => database;
}
