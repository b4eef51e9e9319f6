import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { DatabaseTarget } from "../core/database-url.ts";
import { headRowId, requireOpenHead, unfinishedHeadId } from "./head-row.ts";
import { StoreStartError } from "./start-error.ts";

/** One step of the schema: plain SQL, in Prisma's layout `prisma/migrations/<provider>/<name>/migration.sql`. */
export interface Migration {
  readonly name: string;
  readonly sql: string;
  /** SHA-256 of the script in lower-case hex, as Prisma records it. */
  readonly checksum: string;
}

/** A row of `_prisma_migrations`. */
export interface RecordedMigration {
  readonly name: string;
  readonly checksum: string;
  /** Whether it came to its end; one that didn't left the schema between two states. */
  readonly finished: boolean;
}

/** What a start does about migrations. */
export interface MigrationRun {
  readonly migrations: readonly Migration[];
  /** Whether pending migrations are applied; if not, there must be none. */
  readonly apply: boolean;
  /** Id of the history for a store that has none yet. */
  readonly storeEpoch: string;
  /** Whether this is for a copy of the whole store: only then may the head row be other than open, and a new one is. */
  readonly copying?: boolean;
}

/** Reads a folder of migrations, in the order that they are applied in. */
export function readMigrations(folder: string): readonly Migration[] {
  return readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => entry.name)
    .sort()
    .map((name) => {
      const sql = readFileSync(join(folder, name, "migration.sql"), "utf8");
      return { name, sql, checksum: createHash("sha256").update(sql).digest("hex") };
    });
}

/** The checked-in migrations of a provider, whether this runs from the sources or from dist/. */
export function migrationsFolder(provider: DatabaseTarget["provider"]): string {
  for (let folder = dirname(fileURLToPath(import.meta.url)); ; folder = dirname(folder)) {
    const candidate = join(folder, "prisma", "migrations", provider);
    if (existsSync(candidate)) return candidate;
    if (folder === dirname(folder)) throw new StoreStartError("prisma/migrations is missing from this installation");
  }
}

/**
 * Gives the migrations that the database still needs. Throws StoreStartError if it can't be brought up to date: it is of a newer
 * version, was migrated by another script of the same name, or a migration stopped half-way.
 */
export function pendingMigrations(
  known: readonly Migration[],
  recorded: readonly RecordedMigration[],
): readonly Migration[] {
  const byName = new Map(known.map((migration) => [migration.name, migration]));
  for (const { name, checksum, finished } of recorded) {
    const migration = byName.get(name);
    if (migration === undefined) {
      throw new StoreStartError(
        `the database is of a newer version: it has the migration ${name}, which this version doesn't know`,
      );
    }
    if (!finished)
      throw new StoreStartError(`the migration ${name} stopped half-way; restore the database from a backup`);
    if (migration.checksum !== checksum) {
      throw new StoreStartError(`the migration ${name} was edited after it was applied to this database`);
    }
  }
  const applied = new Set(recorded.map(({ name }) => name));
  return known.filter(({ name }) => !applied.has(name));
}

/** The id that a new head row gets. */
export function newHeadId({ copying }: MigrationRun): string {
  return copying ? unfinishedHeadId : headRowId;
}

/** Throws StoreStartError if this start must not touch a store whose head row has that id. */
export function requireHead({ copying }: MigrationRun, headId: string): void {
  if (!copying) requireOpenHead(headId);
}

export function migrationNames(migrations: readonly Migration[]): readonly string[] {
  return migrations.map(({ name }) => name);
}

/** Throws StoreStartError if there is something to apply that this start must not. */
export function requireApplying({ apply }: MigrationRun, pending: readonly Migration[]): void {
  if (pending.length === 0 || apply) return;
  throw new StoreStartError(
    `migrations are pending and not to be applied at start; run "ichor migrate": ${migrationNames(pending).join(", ")}`,
  );
}
