import { placeOf, type ServerDatabase } from "../core/database-url.ts";
import type { StoreLog } from "./deps.ts";
import { type Durability, judgeDurability, mysqlDurability, mysqlSettingNames } from "./durability.ts";
import type { MigrationRun } from "./migrations.ts";
import { createMysqlPool } from "./mysql-pool.ts";
import { openMysqlSession } from "./mysql-session.ts";
import type { PrismaBackend } from "./prisma-store.ts";
import type { ServerLimits } from "./server-limits.ts";
import { migrateServer, type ServerSession } from "./server-migrate.ts";

/** Opens a store on MySQL or MariaDB; gives the migrations that were applied, too. Throws StoreStartError. */
export async function openMysql(
  database: ServerDatabase,
  run: MigrationRun,
  limits: ServerLimits,
  log: StoreLog,
): Promise<{ readonly backend: PrismaBackend; readonly applied: readonly string[] }> {
  const session = await openMysqlSession(database);
  let applied: readonly string[];
  try {
    applied = await prepareMysql(session, database, run, log);
  } finally {
    await session.close();
  }
  const { mysqlBackend } = await import("./prisma-mysql.ts");
  return { backend: mysqlBackend(createMysqlPool(database, limits), limits), applied };
}

/** Judges the server's settings and brings the schema up to date; gives the migrations that were applied. */
export async function prepareMysql(
  session: ServerSession,
  database: ServerDatabase,
  run: MigrationRun,
  log: StoreLog,
): Promise<readonly string[]> {
  judgeDurability(placeOf(database), await readMysqlDurability(session), log);
  return migrateServer(session, run);
}

export async function readMysqlDurability(session: ServerSession): Promise<Durability> {
  const settings = await session.rows<{ name: string; value: string }>(
    `SHOW VARIABLES WHERE variable_name IN (${mysqlSettingNames.map(() => "?").join(", ")})`,
    mysqlSettingNames,
  );
  return mysqlDurability(Object.fromEntries(settings.map((row) => Object.values(row))));
}
