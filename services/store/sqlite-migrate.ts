import { randomUUID } from "node:crypto";
import type Database from "better-sqlite3";
import { genesisHash } from "../core/change-chain.ts";
import {
  type Migration,
  type MigrationRun,
  migrationNames,
  newHeadId,
  pendingMigrations,
  type RecordedMigration,
  requireApplying,
  requireHead,
} from "./migrations.ts";
import type { SqliteConnections } from "./sqlite-connections.ts";
import { StoreStartError } from "./start-error.ts";

/**
 * Brings the schema up to date and makes the head row, all in one transaction, so that of processes that start together
 * one does it and the others find it done. Gives the names of the migrations that it applied.
 * Throws StoreStartError; see `pendingMigrations`.
 */
export async function migrateSqlite(connections: SqliteConnections, run: MigrationRun): Promise<readonly string[]> {
  const { writer } = connections;
  const settled = pendingOf(writer, run.migrations).length === 0;
  const head = headIdOf(writer);
  if (head !== undefined) requireHead(run, head);
  if (settled && head !== undefined) return [];
  const release = await connections.beginWriting();
  try {
    const pending = pendingOf(writer, run.migrations);
    requireApplying(run, pending);
    if (pending.length > 0) requireOurs(writer);
    for (const one of pending) applyOne(writer, one);
    if (headIdOf(writer) === undefined) insertHead(writer, run);
    writer.exec("COMMIT");
    return migrationNames(pending);
  } finally {
    release();
  }
}

function pendingOf(connection: Database.Database, known: readonly Migration[]): readonly Migration[] {
  return pendingMigrations(known, recordedOfFile(connection));
}

/** What the file says of the migrations that it has had. */
export function recordedOfFile(connection: Database.Database): readonly RecordedMigration[] {
  if (!hasTable(connection, "_prisma_migrations")) return [];
  const rows = connection
    .prepare<[], { name: string; checksum: string; finished: number | bigint }>(
      `SELECT migration_name AS name, checksum, finished_at IS NOT NULL AS finished
       FROM _prisma_migrations WHERE rolled_back_at IS NULL ORDER BY migration_name`,
    )
    .all();
  return rows.map((row) => ({ ...row, finished: Number(row.finished) === 1 }));
}

/** A database with tables but no record of ours belongs to something else. */
function requireOurs(connection: Database.Database): void {
  if (hasTable(connection, "_prisma_migrations")) return;
  const other = connection.prepare("SELECT name FROM sqlite_schema WHERE type = 'table' LIMIT 1").pluck().get();
  if (other !== undefined)
    throw new StoreStartError(`the database isn't Ichor's: it holds a table ${other} and no record of migrations`);
}

/** As Prisma's own engine makes and fills it. */
function applyOne(connection: Database.Database, { name, sql, checksum }: Migration): void {
  connection.exec(`
    CREATE TABLE IF NOT EXISTS "_prisma_migrations" (
      "id"                    TEXT PRIMARY KEY NOT NULL,
      "checksum"              TEXT NOT NULL,
      "finished_at"           DATETIME,
      "migration_name"        TEXT NOT NULL,
      "logs"                  TEXT,
      "rolled_back_at"        DATETIME,
      "started_at"            DATETIME NOT NULL DEFAULT current_timestamp,
      "applied_steps_count"   INTEGER UNSIGNED NOT NULL DEFAULT 0
    )`);
  const startedMs = Date.now();
  try {
    connection.exec(sql);
  } catch (cause) {
    throw new StoreStartError(`the migration ${name} failed and was rolled back: ${String(cause)}`, { cause });
  }
  connection
    .prepare(
      `INSERT INTO _prisma_migrations (id, checksum, migration_name, started_at, finished_at, applied_steps_count)
       VALUES (?, ?, ?, ?, ?, 1)`,
    )
    .run(randomUUID(), checksum, name, startedMs, Date.now());
}

function hasTable(connection: Database.Database, name: string): boolean {
  return connection.prepare("SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?").get(name) !== undefined;
}

function headIdOf(connection: Database.Database): string | undefined {
  if (!hasTable(connection, "store_head")) return undefined;
  return connection.prepare<[], string>("SELECT id FROM store_head").pluck().get();
}

function insertHead(connection: Database.Database, run: MigrationRun): void {
  connection
    .prepare("INSERT INTO store_head (id, revision, hash, store_epoch, compacted_through) VALUES (?, 0, ?, ?, 0)")
    .run(newHeadId(run), genesisHash, run.storeEpoch);
}
