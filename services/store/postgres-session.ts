import { Client } from "pg";
import type { ServerDatabase } from "../core/database-url.ts";
import { forPostgres } from "./hot-read-sql.ts";
import { postgresClientConfig, postgresTypes } from "./postgres-pool.ts";
import { migrationLockSecondsMax, type ServerSession } from "./server-migrate.ts";
import { serverStartError } from "./server-start-error.ts";
import { betweenBeginAndCommit } from "./sql-session.ts";
import { StoreStartError } from "./start-error.ts";

const recordsSql = `
  CREATE TABLE "_prisma_migrations" (
    "id"                    VARCHAR(36) PRIMARY KEY NOT NULL,
    "checksum"              VARCHAR(64) NOT NULL,
    "finished_at"           TIMESTAMPTZ,
    "migration_name"        VARCHAR(255) NOT NULL,
    "logs"                  TEXT,
    "rolled_back_at"        TIMESTAMPTZ,
    "started_at"            TIMESTAMPTZ NOT NULL DEFAULT now(),
    "applied_steps_count"   INTEGER NOT NULL DEFAULT 0
  )`;

/** Number of the advisory lock, within its database: "ichor" in ASCII. */
const advisoryLock = "452723371890";
/** CockroachDB has no advisory locks: a row of this table is locked instead. */
const lockTable = "ichor_migration_lock";

/** Connects. Throws StoreStartError if that can't be. */
export async function openPostgresSession(database: ServerDatabase): Promise<ServerSession> {
  const client = await connect(database);
  const query = async (sql: string, values?: readonly unknown[]) =>
    client.query({ text: forPostgres(sql), types: postgresTypes, ...(values && { values: [...values] }) });
  return {
    recordsSql,
    rows: async <R extends object>(sql: string, values: readonly unknown[] = []) =>
      (await query(sql, values)).rows as readonly R[],
    script: async (sql) => void (await client.query(sql)),
    atomically: (work) => betweenBeginAndCommit((sql) => client.query(sql), work),
    comparesRows: true,
    locked: (work) =>
      database.provider === "cockroachdb" ? lockedByRow(database, work) : lockedInTransaction(client, work),
    async tables() {
      const { rows } = await query(
        "SELECT table_name AS name FROM information_schema.tables WHERE table_schema = current_schema()",
      );
      return rows.map(({ name }) => String(name)).filter((name) => name !== lockTable);
    },
    close: () => client.end(),
  };
}

async function connect(database: ServerDatabase): Promise<Client> {
  const client = new Client({ ...postgresClientConfig(database), lock_timeout: migrationLockSecondsMax * 1_000 });
  client.on("error", () => {});
  try {
    await client.connect();
    return client;
  } catch (error) {
    await client.end().catch(() => {});
    throw serverStartError(database, error);
  }
}

function lockedInTransaction<T>(client: Client, work: () => Promise<T>): Promise<T> {
  return betweenBeginAndCommit(
    (sql) => client.query(sql),
    async () => {
      await client.query(`SELECT pg_advisory_xact_lock(${advisoryLock})`).catch(tooLate);
      return work();
    },
  );
}

/** The lock is on a connection of its own: changes of the schema commit on theirs one by one. */
async function lockedByRow<T>(database: ServerDatabase, work: () => Promise<T>): Promise<T> {
  const holder = await connect(database);
  try {
    const make = () => holder.query(`CREATE TABLE IF NOT EXISTS ${lockTable} (id TEXT PRIMARY KEY)`);
    // Of those that make it at once, all but one may be refused, in several ways; then it is there.
    await make().catch(make);
    await holder.query(`INSERT INTO ${lockTable} (id) VALUES ('migration') ON CONFLICT DO NOTHING`);
    await holder.query("BEGIN");
    await holder.query(`SELECT id FROM ${lockTable} FOR UPDATE`).catch(tooLate);
    const result = await work();
    await holder.query("COMMIT");
    return result;
  } finally {
    await holder.end();
  }
}

function tooLate(error: unknown): never {
  if (!(error instanceof Error && "code" in error && error.code === "55P03")) throw error;
  throw new StoreStartError(`another server has been migrating the database for ${migrationLockSecondsMax} s`, {
    cause: error,
  });
}
