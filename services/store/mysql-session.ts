import { type Connection, createConnection } from "mariadb";
import type { ServerDatabase } from "../core/database-url.ts";
import { sha256 } from "../core/digest.ts";
import { mysqlConnectionConfig } from "./mysql-pool.ts";
import { migrationLockSecondsMax, type ServerSession } from "./server-migrate.ts";
import { serverStartError } from "./server-start-error.ts";
import { betweenBeginAndCommit } from "./sql-session.ts";
import { StoreStartError } from "./start-error.ts";

const recordsSql = `
  CREATE TABLE _prisma_migrations (
    id                      VARCHAR(36) PRIMARY KEY NOT NULL,
    checksum                VARCHAR(64) NOT NULL,
    finished_at             DATETIME(3),
    migration_name          VARCHAR(255) NOT NULL,
    logs                    TEXT,
    rolled_back_at          DATETIME(3),
    started_at              DATETIME(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3),
    applied_steps_count     INTEGER UNSIGNED NOT NULL DEFAULT 0
  ) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci`;

/** Connects. Throws StoreStartError if that can't be. */
export async function openMysqlSession(database: ServerDatabase): Promise<ServerSession> {
  const connection = await connect(database);
  const rows = async <R extends object>(sql: string, values: readonly unknown[] = []) =>
    (await connection.query(sql, [...values])) as readonly R[];
  return {
    recordsSql,
    rows,
    script: async (sql) => void (await connection.query(sql)),
    atomically: (work) => betweenBeginAndCommit(rows, work),
    // It would read every row up to the one that is compared with.
    comparesRows: false,
    locked: (work) => lockedByName(rows, lockNameOf(database), work),
    async tables() {
      const found = await rows<{ name: string }>(
        "SELECT table_name AS name FROM information_schema.tables WHERE table_schema = database()",
      );
      return found.map(({ name }) => name);
    },
    close: () => connection.end(),
  };
}

async function connect(database: ServerDatabase): Promise<Connection> {
  try {
    const connection = await createConnection({ ...mysqlConnectionConfig(database), multipleStatements: true });
    connection.on("error", () => {});
    return connection;
  } catch (error) {
    throw serverStartError(database, error);
  }
}

/** Named locks are of the whole server, and their names short. */
function lockNameOf({ database }: ServerDatabase): string {
  return `ichor_migration_${Buffer.from(sha256(Buffer.from(database))).toString("hex", 0, 12)}`;
}

async function lockedByName<T>(rows: ServerSession["rows"], name: string, work: () => Promise<T>): Promise<T> {
  const [lock] = await rows<{ taken: bigint | number | null }>("SELECT GET_LOCK(?, ?) AS taken", [
    name,
    migrationLockSecondsMax,
  ]);
  if (Number(lock?.taken) !== 1) {
    throw new StoreStartError(`another server has been migrating the database for ${migrationLockSecondsMax} s`);
  }
  try {
    return await work();
  } finally {
    await rows("SELECT RELEASE_LOCK(?)", [name]);
  }
}
