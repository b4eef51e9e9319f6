import { type DatabaseTarget, parseDatabaseUrl } from "../core/database-url.ts";
import type { StoreDeps } from "./deps.ts";
import { type MigrationRun, migrationsFolder, readMigrations } from "./migrations.ts";
import type { Store } from "./port.ts";
import type { PrismaBackend } from "./prisma-store.ts";
import { type ServerLimits, serverLimitsDefault } from "./server-limits.ts";
import { SqliteConnections } from "./sqlite-connections.ts";
import { migrateSqlite } from "./sqlite-migrate.ts";
import { StoreStartError } from "./start-error.ts";

export interface StoreOptions extends StoreDeps {
  /** As ICHOR_DATABASE_URL; see `parseDatabaseUrl`. A relative path is one of the working directory. */
  readonly url: string;
  /** Whether pending migrations are applied; if not, they stop the start. */
  readonly migrate: boolean;
  /** Told the names of the migrations that were applied. */
  readonly onMigrated?: (names: readonly string[]) => void;
  /** Longest wait for the write lock, in ms; default 5000. */
  readonly lockWaitMs?: number;
  /** Other bounds for a database server than the default ones. */
  readonly serverLimits?: Partial<ServerLimits>;
  /** Other migrations than the checked-in ones, for tests. */
  readonly migrationsFolder?: string;
}

interface OpenBackend {
  readonly backend: PrismaBackend;
  /** Names of the migrations that were applied. */
  readonly applied: readonly string[];
}

/**
 * Opens the store that the URL names, brings its schema up to date and makes its head row if it has none. Safe when
 * several processes do so at once. Throws StoreStartError if the store can't be used.
 */
export async function openStore(options: StoreOptions): Promise<Store> {
  const target = targetOf(options.url);
  const { backend, applied } = await openBackend(target, options);
  if (applied.length > 0) options.log.info({ migrations: applied }, "the store's schema was brought up to date");
  options.onMigrated?.(applied);
  const { PrismaStore } = await import("./prisma-store.ts");
  return new PrismaStore(backend, options);
}

/** Loads the driver of the database that is named, and no other: they are a third of a server's modules. */
async function openBackend(target: DatabaseTarget, options: StoreOptions): Promise<OpenBackend> {
  const limits = {
    ...serverLimitsDefault,
    ...options.serverLimits,
    ...(options.lockWaitMs !== undefined && { lockWaitMs: options.lockWaitMs }),
  };
  const run: MigrationRun = {
    migrations: readMigrations(options.migrationsFolder ?? migrationsFolder(target.provider)),
    apply: options.migrate,
    storeEpoch: Buffer.from(options.random(16)).toString("hex"),
  };
  switch (target.provider) {
    case "sqlite":
      return openSqlite(target.path, run, limits.lockWaitMs);
    case "postgresql":
    case "cockroachdb": {
      const { openPostgres } = await import("./open-postgres.ts");
      return openPostgres(target, run, limits, options.log);
    }
    case "mysql": {
      const { openMysql } = await import("./open-mysql.ts");
      return openMysql(target, run, limits, options.log);
    }
  }
}

async function openSqlite(path: string, run: MigrationRun, lockWaitMs: number): Promise<OpenBackend> {
  const connections = await SqliteConnections.open(path, lockWaitMs);
  try {
    const applied = await migrateSqlite(connections, run);
    // Loaded here, so that a faulty database is told of before the time is spent.
    const { sqliteBackend } = await import("./prisma-sqlite.ts");
    return { backend: sqliteBackend(connections), applied };
  } catch (error) {
    connections.close();
    throw error;
  }
}

function targetOf(url: string): DatabaseTarget {
  try {
    return parseDatabaseUrl(url);
  } catch (cause) {
    if (cause instanceof RangeError) throw new StoreStartError(`the database URL ${cause.message}`, { cause });
    throw cause;
  }
}
