import { randomBytes } from "node:crypto";
import { createConnection } from "mariadb";
import { Client } from "pg";

/** A database of a test's own on a real server. */
export interface TestDatabase {
  /** The server's URL with this database's name as path. */
  readonly url: string;
  readonly name: string;
  drop(): Promise<void>;
}

/** Creates an empty database on the server of `serverUrl` (postgresql:, mysql: or mariadb:). */
export async function createTestDatabase(serverUrl: string): Promise<TestDatabase> {
  const name = `ichor_test_${process.pid}_${randomBytes(6).toString("hex")}`;
  const { create, drop } = new URL(serverUrl).protocol === "postgresql:" ? postgres : mariadb;
  await execute(serverUrl, create(name));
  const url = new URL(serverUrl);
  url.pathname = `/${name}`;
  return { url: url.href, name, drop: () => execute(serverUrl, drop(name)) };
}

const postgres = {
  create: (name: string) => `CREATE DATABASE ${name}`,
  drop: (name: string) => `DROP DATABASE IF EXISTS ${name} WITH (FORCE)`,
};

const mariadb = {
  create: (name: string) => `CREATE DATABASE ${name} CHARACTER SET utf8mb4 COLLATE utf8mb4_bin`,
  drop: (name: string) => `DROP DATABASE IF EXISTS ${name}`,
};

async function execute(serverUrl: string, sql: string): Promise<void> {
  if (new URL(serverUrl).protocol === "postgresql:") {
    const client = new Client({ connectionString: serverUrl });
    await client.connect();
    await client.query(sql).finally(() => client.end());
  } else {
    const connection = await createConnection(mariadbOptions(serverUrl));
    await connection.query(sql).finally(() => connection.end());
  }
}

/** Connection options of the driver for a URL, whichever of the two schemes it has. */
export function mariadbOptions(serverUrl: string) {
  const { hostname, port, username, password, pathname } = new URL(serverUrl);
  return {
    host: hostname,
    port: Number(port || 3306),
    user: decodeURIComponent(username),
    password: decodeURIComponent(password),
    ...(pathname.length > 1 ? { database: pathname.slice(1) } : {}),
  };
}
