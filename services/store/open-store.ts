import { fileURLToPath } from "node:url";
import type { StoreDeps } from "./deps.ts";
import { migrationsFolder, readMigrations } from "./migrations.ts";
import type { Store } from "./port.ts";
import { lockWaitMsDefault, SqliteConnections } from "./sqlite-connections.ts";
import { migrateSqlite } from "./sqlite-migrate.ts";
import { StoreStartError } from "./start-error.ts";

export interface StoreOptions extends StoreDeps {
  /** `file:` and a path, relative to the working directory or absolute. */
  readonly url: string;
  /** Whether pending migrations are applied; if not, they stop the start. */
  readonly migrate: boolean;
  /** Told the names of the migrations that were applied. */
  readonly onMigrated?: (names: readonly string[]) => void;
  /** Longest wait for the write lock, in ms; default 5000. */
  readonly lockWaitMs?: number;
  /** Other migrations than the checked-in ones, for tests. */
  readonly migrationsFolder?: string;
}

/**
 * Opens the store that the URL names, brings its schema up to date and makes its head row if it has none. Safe when
 * several processes do so at once. Throws StoreStartError if the store can't be used.
 */
export async function openStore(options: StoreOptions): Promise<Store> {
  const path = sqlitePathOf(options.url);
  const connections = await SqliteConnections.open(path, options.lockWaitMs ?? lockWaitMsDefault);
  try {
    const applied = await migrateSqlite(connections, {
      migrations: readMigrations(options.migrationsFolder ?? migrationsFolder("sqlite")),
      apply: options.migrate,
      storeEpoch: Buffer.from(options.random(16)).toString("hex"),
    });
    if (applied.length > 0) options.log.info({ migrations: applied }, "the store's schema was brought up to date");
    options.onMigrated?.(applied);
    // Loaded here, so that a faulty database is told of before the time is spent.
    const [{ PrismaStore }, { sqliteBackend }] = await Promise.all([
      import("./prisma-store.ts"),
      import("./prisma-sqlite.ts"),
    ]);
    return new PrismaStore(sqliteBackend(connections), options);
  } catch (error) {
    connections.close();
    throw error;
  }
}

/** The path in a `file:` URL. Throws StoreStartError for every other. */
function sqlitePathOf(url: string): string {
  const scheme = /^([a-z][a-z0-9+.-]*):/i.exec(url)?.[1]?.toLowerCase();
  if (scheme !== "file") {
    throw new StoreStartError(
      `the database URL must begin with "file:"; ${scheme ? `"${scheme}:"` : "one without scheme"} is not supported yet by this version`,
    );
  }
  const path = url.startsWith("file://") ? fileUrlPath(url) : url.slice("file:".length);
  if (path === "" || path.startsWith(":") || path.includes("?")) {
    throw new StoreStartError(`"${url}" names no database file: expected "file:" and a path, without parameters`);
  }
  return path;
}

function fileUrlPath(url: string): string {
  try {
    return fileURLToPath(url);
  } catch (cause) {
    throw new StoreStartError(`"${url}" is no file URL of this machine`, { cause });
  }
}
