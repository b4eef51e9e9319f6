import { randomUUID } from "node:crypto";
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
import type { SqlSession } from "./sql-session.ts";
import { StoreStartError } from "./start-error.ts";

/** Longest wait for another server that is migrating, in seconds. */
export const migrationLockSecondsMax = 60;

/** A connection to a database server of its own, for what is done at the start. */
export interface ServerSession extends SqlSession {
  /** Runs a script of several statements. */
  script(sql: string): Promise<void>;
  /**
   * Runs `work` while no other server migrates this database; rejects with a StoreStartError if that doesn't come about.
   * Where the database can, all of it is one transaction.
   */
  locked<T>(work: () => Promise<T>): Promise<T>;
  /** The names of the database's tables that aren't the session's own. */
  tables(): Promise<readonly string[]>;
  /** Makes the table of records as Prisma's own engine makes it. */
  readonly recordsSql: string;
}

/**
 * Brings the schema up to date and makes the head row, under a lock, so that of servers that start together one does it
 * and the others find it done. Gives the names of the migrations that it applied.
 * Throws StoreStartError; see `pendingMigrations`.
 */
export async function migrateServer(session: ServerSession, run: MigrationRun): Promise<readonly string[]> {
  // Before the lock another server may be in the middle of it.
  const recorded = await recordedOf(session);
  const settled =
    recorded.every(({ finished }) => finished) && pendingMigrations(run.migrations, recorded).length === 0;
  const head = await headIdOf(session);
  if (head !== undefined) requireHead(run, head);
  if (settled && head !== undefined) return [];
  return session.locked(async () => {
    const pending = pendingMigrations(run.migrations, await recordedOf(session));
    requireApplying(run, pending);
    if (pending.length > 0) await requireOurs(session);
    for (const one of pending) await applyOne(session, one);
    if ((await headIdOf(session)) === undefined) {
      await session.rows(
        "INSERT INTO store_head (id, revision, hash, store_epoch, compacted_through) VALUES (?, 0, ?, ?, 0)",
        [newHeadId(run), Buffer.from(genesisHash), run.storeEpoch],
      );
    }
    return migrationNames(pending);
  });
}

/** What the database says of the migrations that it has had. */
export async function recordedOf(session: ServerSession): Promise<readonly RecordedMigration[]> {
  if (!(await session.tables()).includes("_prisma_migrations")) return [];
  const rows = await session.rows<{ name: string; checksum: string; unfinished: number | bigint }>(
    `SELECT migration_name AS name, checksum, CASE WHEN finished_at IS NULL THEN 1 ELSE 0 END AS unfinished
     FROM _prisma_migrations WHERE rolled_back_at IS NULL ORDER BY migration_name`,
  );
  return rows.map(({ name, checksum, unfinished }) => ({ name, checksum, finished: Number(unfinished) === 0 }));
}

/** A database with tables but no record of ours belongs to something else. */
async function requireOurs(session: ServerSession): Promise<void> {
  const tables = await session.tables();
  const [other] = tables;
  if (other === undefined || tables.includes("_prisma_migrations")) return;
  throw new StoreStartError(`the database isn't Ichor's: it holds a table ${other} and no record of migrations`);
}

/** Recorded first: where a script can't be rolled back, a later start sees that it stopped half-way. */
async function applyOne(session: ServerSession, { name, sql, checksum }: Migration): Promise<void> {
  if (!(await session.tables()).includes("_prisma_migrations")) await session.script(session.recordsSql);
  const id = randomUUID();
  await session.rows("INSERT INTO _prisma_migrations (id, checksum, migration_name) VALUES (?, ?, ?)", [
    id,
    checksum,
    name,
  ]);
  try {
    await session.script(sql);
  } catch (cause) {
    throw new StoreStartError(`the migration ${name} failed: ${cause instanceof Error ? cause.message : cause}`, {
      cause,
    });
  }
  await session.rows(
    "UPDATE _prisma_migrations SET finished_at = CURRENT_TIMESTAMP, applied_steps_count = 1 WHERE id = ?",
    [id],
  );
}

async function headIdOf(session: ServerSession): Promise<string | undefined> {
  if (!(await session.tables()).includes("store_head")) return undefined;
  const [head] = await session.rows<{ id: string }>("SELECT id FROM store_head");
  return head?.id;
}
