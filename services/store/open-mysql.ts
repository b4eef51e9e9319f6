import { placeOf, type ServerDatabase } from "../core/database-url.ts";
import type { StoreDeps } from "./deps.ts";
import { judgeDurability, mysqlDurability, mysqlSettingNames } from "./durability.ts";
import type { MigrationRun } from "./migrations.ts";
import { createMysqlPool } from "./mysql-pool.ts";
import { openMysqlSession } from "./mysql-session.ts";
import type { PrismaBackend } from "./prisma-store.ts";
import type { ServerLimits } from "./server-limits.ts";
import { migrateServer } from "./server-migrate.ts";

/** Opens a store on MySQL or MariaDB; gives the migrations that were applied, too. Throws StoreStartError. */
export async function openMysql(
  database: ServerDatabase,
  run: MigrationRun,
  limits: ServerLimits,
  { log }: Pick<StoreDeps, "log">,
): Promise<{ readonly backend: PrismaBackend; readonly applied: readonly string[] }> {
  const session = await openMysqlSession(database);
  let applied: readonly string[];
  try {
    const settings = await session.rows<{ name: string; value: string }>(
      `SHOW VARIABLES WHERE variable_name IN (${mysqlSettingNames.map(() => "?").join(", ")})`,
      mysqlSettingNames,
    );
    const byName = Object.fromEntries(settings.map((row) => Object.values(row)));
    judgeDurability(placeOf(database), mysqlDurability(byName), log);
    applied = await migrateServer(session, run);
  } finally {
    await session.close();
  }
  const { mysqlBackend } = await import("./prisma-mysql.ts");
  return { backend: mysqlBackend(createMysqlPool(database, limits), limits), applied };
}
