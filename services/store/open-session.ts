import { existsSync } from "node:fs";
import { type DatabaseTarget, placeOf } from "../core/database-url.ts";
import type { StoreDeps } from "./deps.ts";
import { type MigrationRun, migrationsFolder, readMigrations } from "./migrations.ts";
import { lockWaitMsDefault } from "./mutex.ts";
import { openMysqlSession } from "./mysql-session.ts";
import { prepareMysql } from "./open-mysql.ts";
import { preparePostgres } from "./open-postgres.ts";
import { openPostgresSession } from "./postgres-session.ts";
import type { ServerSession } from "./server-migrate.ts";
import { type SqlSession, sqliteSession } from "./sql-session.ts";
import { SqliteConnections } from "./sqlite-connections.ts";
import { migrateSqlite } from "./sqlite-migrate.ts";
import { StoreStartError } from "./start-error.ts";

/**
 * Opens a store for plain SQL, for work on all of it whatever the state of its head row. With `storeEpoch` the schema is
 * made and brought up to date, and the head row of a new store is an unfinished copy's of that epoch; without, both must
 * be there. Throws StoreStartError.
 */
export async function openSession(
  target: DatabaseTarget,
  storeEpoch: string | undefined,
  { log }: Pick<StoreDeps, "log">,
): Promise<SqlSession> {
  const run: MigrationRun = {
    migrations: readMigrations(migrationsFolder(target.provider)),
    apply: storeEpoch !== undefined,
    storeEpoch: storeEpoch ?? "",
    copying: true,
  };
  switch (target.provider) {
    case "sqlite":
      return openSqliteSession(target.path, run);
    case "mysql":
      return prepared(await openMysqlSession(target), (session) => prepareMysql(session, target, run, log));
    default:
      return prepared(await openPostgresSession(target), (session) => preparePostgres(session, target, run, log));
  }
}

/** What a store is called in messages: without user and password. */
export function storePlace(target: DatabaseTarget): string {
  return target.provider === "sqlite" ? target.path : placeOf(target);
}

async function openSqliteSession(path: string, run: MigrationRun): Promise<SqlSession> {
  if (!run.apply && !existsSync(path)) throw new StoreStartError(`the database file ${path} doesn't exist`);
  const connections = await SqliteConnections.open(path, lockWaitMsDefault);
  return prepared(sqliteSession(connections), () => migrateSqlite(connections, run));
}

async function prepared<S extends SqlSession | ServerSession>(
  session: S,
  prepare: (session: S) => Promise<unknown>,
): Promise<S> {
  try {
    await prepare(session);
    return session;
  } catch (error) {
    await session.close();
    throw error;
  }
}
