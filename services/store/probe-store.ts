import { existsSync } from "node:fs";
import { type DatabaseTarget, parseDatabaseUrl } from "../core/database-url.ts";
import type { Durability } from "./durability.ts";
import { type Migration, migrationNames, migrationsFolder, pendingMigrations, readMigrations } from "./migrations.ts";
import { lockWaitMsDefault } from "./mutex.ts";
import { openMysqlSession } from "./mysql-session.ts";
import { readMysqlDurability } from "./open-mysql.ts";
import { readPostgresDurability } from "./open-postgres.ts";
import { storePlace } from "./open-session.ts";
import { openPostgresSession } from "./postgres-session.ts";
import { recordedOf, type ServerSession } from "./server-migrate.ts";
import { SqliteConnections } from "./sqlite-connections.ts";
import { recordedOfFile } from "./sqlite-migrate.ts";
import { StoreStartError } from "./start-error.ts";

/** How far the clock of a database server is from this machine's. */
export interface ClockSkew {
  /** Positive: the database's is ahead, in ms. */
  readonly aheadMs: number;
  /** By how much that may be wrong at most, in ms: half of the time that the question took. */
  readonly uncertainMs: number;
}

/** What can be told of a database before it is used as a store. */
export interface StoreProbe {
  /** Migrations that are missing there. */
  readonly pending: readonly string[];
  /** Undefined where nothing can be set wrong. */
  readonly durability: Durability | undefined;
  /** Undefined for a file. */
  readonly skew: ClockSkew | undefined;
}

/** What a database URL names, without user and password. */
export function placeOfUrl(url: string): string {
  return storePlace(parseDatabaseUrl(url));
}

/** Connects to a database and changes nothing. Throws StoreStartError if it can't be reached, or isn't a store of this version. */
export async function probeStore(url: string, now: () => number): Promise<StoreProbe> {
  const target = parseDatabaseUrl(url);
  const migrations = readMigrations(migrationsFolder(target.provider));
  if (target.provider === "sqlite") return probeFile(target.path, migrations);
  const session = await openServer(target);
  try {
    const durability = await (target.provider === "mysql"
      ? readMysqlDurability(session)
      : readPostgresDurability(session, target));
    const pending = migrationNames(pendingMigrations(migrations, await recordedOf(session)));
    return { pending, durability, skew: await skewOf(session, nowSql[target.provider], now) };
  } finally {
    await session.close();
  }
}

async function probeFile(path: string, migrations: readonly Migration[]): Promise<StoreProbe> {
  if (!existsSync(path)) throw new StoreStartError(`the database file ${path} doesn't exist`);
  const connections = await SqliteConnections.open(path, lockWaitMsDefault);
  try {
    const pending = pendingMigrations(migrations, recordedOfFile(connections.writer));
    return { pending: migrationNames(pending), durability: undefined, skew: undefined };
  } finally {
    connections.close();
  }
}

function openServer(target: Exclude<DatabaseTarget, { provider: "sqlite" }>): Promise<ServerSession> {
  return target.provider === "mysql" ? openMysqlSession(target) : openPostgresSession(target);
}

const postgresNowSql = "SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT) AS now_ms";
const nowSql = {
  postgresql: postgresNowSql,
  cockroachdb: postgresNowSql,
  mysql: "SELECT CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED) AS now_ms",
};

const skewQuestions = 3;

/** Of some questions, the answer that came soonest. */
async function skewOf(session: ServerSession, sql: string, now: () => number): Promise<ClockSkew> {
  let best: ClockSkew | undefined;
  for (let i = 0; i < skewQuestions; i++) {
    const askedMs = now();
    const [row] = await session.rows<{ now_ms: bigint | number }>(sql);
    const uncertainMs = (now() - askedMs) / 2;
    const aheadMs = Number(row?.now_ms) - askedMs - uncertainMs;
    if (best === undefined || uncertainMs < best.uncertainMs) best = { aheadMs, uncertainMs };
  }
  return best as ClockSkew;
}
