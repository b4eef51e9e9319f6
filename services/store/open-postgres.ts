import { placeOf, type ServerDatabase } from "../core/database-url.ts";
import type { StoreLog } from "./deps.ts";
import {
  type DatabaseSettings,
  type Durability,
  judgeDurability,
  postgresDurability,
  postgresSettingNames,
} from "./durability.ts";
import type { MigrationRun } from "./migrations.ts";
import { createPostgresPool } from "./postgres-pool.ts";
import { openPostgresSession } from "./postgres-session.ts";
import type { PrismaBackend } from "./prisma-store.ts";
import type { ServerLimits } from "./server-limits.ts";
import { migrateServer, type ServerSession } from "./server-migrate.ts";

/** Opens a store on PostgreSQL or CockroachDB; gives the migrations that were applied, too. Throws StoreStartError. */
export async function openPostgres(
  database: ServerDatabase,
  run: MigrationRun,
  limits: ServerLimits,
  log: StoreLog,
): Promise<{ readonly backend: PrismaBackend; readonly applied: readonly string[] }> {
  const session = await openPostgresSession(database);
  let applied: readonly string[];
  try {
    applied = await preparePostgres(session, database, run, log);
  } finally {
    await session.close();
  }
  const { postgresBackend } = await import("./prisma-postgres.ts");
  const backend = await postgresBackend(database, createPostgresPool(database, limits), limits);
  return { backend, applied };
}

/** Judges the server's settings and brings the schema up to date; gives the migrations that were applied. */
export async function preparePostgres(
  session: ServerSession,
  database: ServerDatabase,
  run: MigrationRun,
  log: StoreLog,
): Promise<readonly string[]> {
  const durability = await readPostgresDurability(session, database);
  if (durability !== undefined) judgeDurability(placeOf(database), durability, log);
  return migrateServer(session, run);
}

/** Undefined for CockroachDB, which has none of these settings: what it acknowledged is replicated. */
export async function readPostgresDurability(
  session: ServerSession,
  { provider }: ServerDatabase,
): Promise<Durability | undefined> {
  return provider === "postgresql" ? postgresDurability(await readSettings(session)) : undefined;
}

async function readSettings(session: ServerSession): Promise<DatabaseSettings> {
  const rows = await session.rows<{ name: string; setting: string }>(
    `SELECT name, current_setting(name) AS setting FROM pg_settings WHERE name = ANY(?)
     UNION ALL SELECT 'in_recovery', CASE WHEN pg_is_in_recovery() THEN 'on' ELSE 'off' END`,
    [postgresSettingNames],
  );
  return Object.fromEntries(rows.map(({ name, setting }) => [name, setting]));
}
