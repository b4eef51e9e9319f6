import { type DatabaseTarget, parseDatabaseUrl } from "../core/database-url.ts";
import { copyTable, countRows, digestTable, type OnRows, type TableDigest } from "./copy-table.ts";
import type { StoreDeps } from "./deps.ts";
import { fencedFor, fencedHeadId, headRowId, requireOpenHead, unfinishedHeadId } from "./head-row.ts";
import { openSession, storePlace } from "./open-session.ts";
import { contentTables, type Table } from "./prisma-tables.ts";
import { serverFailureOf } from "./server-failure.ts";
import type { SqlSession } from "./sql-session.ts";
import { StoreStartError } from "./start-error.ts";
import { serverGoneMs } from "./subscription-port.ts";

export interface CopyOptions extends StoreDeps {
  /** As ICHOR_DATABASE_URL. */
  readonly from: string;
  readonly to: string;
  readonly onProgress?: (progress: CopyProgress) => void;
  /** Stops between two pages; what was copied stays, and a further call goes on there. */
  readonly stop?: AbortSignal;
}

export interface CopyProgress {
  readonly phase: "copy" | "compare";
  readonly table: string;
  /** Rows of all tables that this phase has dealt with, of how many. */
  readonly done: number;
  readonly total: number;
  readonly rowsPerSecond: number;
  /** What is left of the phase at that rate, in seconds. */
  readonly restSeconds: number;
}

export interface CopyReport {
  /** Id of the copy's history. */
  readonly storeEpoch: string;
  /** Where both stand. */
  readonly revision: bigint;
  /** Rows that were at the target already, from a call that was interrupted. */
  readonly resumedAt: number;
  readonly tables: readonly (TableDigest & { readonly table: string })[];
}

interface HeadRow {
  readonly id: string;
  readonly revision: bigint | number;
  readonly hash: Uint8Array;
  readonly store_epoch: string;
  readonly compacted_through: bigint | number;
}

/**
 * Copies a whole store into an empty database of any kind. The source is fenced first and stays so: its head row gets an
 * id under which nobody finds it, so that nothing is changed there any more, and no server starts on it. The target's is
 * opened last, under a new store epoch, once the digests of every table are equal. So a crash leaves two stores of which
 * none can be used by mistake, and a further call goes on.
 *
 * Throws StoreStartError if that can't be, or if the tables differ.
 */
export async function copyStore(options: CopyOptions): Promise<CopyReport> {
  const [from, to] = [targetOf(options.from, "--from"), targetOf(options.to, "--to")];
  if (storePlace(from) === storePlace(to)) throw new StoreStartError("a store can't be copied onto itself");
  return withSession(await openSession(from, undefined, options), async (source) => {
    const origin = await headOf(source);
    if (fencedFor(origin.id) === undefined) requireOpenHead(origin.id);
    const storeEpoch = fencedFor(origin.id) ?? Buffer.from(options.random(16)).toString("hex");
    return withSession(await openSession(to, storeEpoch, options), async (target) => {
      const there = await headOf(target);
      const report = { storeEpoch, revision: BigInt(origin.revision) };
      // Servers may run on it by now.
      if (there.id === headRowId && there.store_epoch === storeEpoch) return { ...report, resumedAt: 0, tables: [] };
      await requireFillable(target, there, storeEpoch, storePlace(to));
      await fence(source, storeEpoch, options.clock.now());
      await target.rows("UPDATE store_head SET id = ?, store_epoch = ?", [unfinishedHeadId, storeEpoch]);
      const resumedAt = await copyTables(source, target, options);
      const tables = await compareTables(source, target, options);
      await openCopy(source, target);
      return { ...report, revision: BigInt((await headOf(source)).revision), resumedAt, tables };
    });
  });
}

/** Opens a store again that was fenced for a copy. False if it wasn't fenced. Throws StoreStartError. */
export async function unfenceStore(url: string, deps: StoreDeps): Promise<boolean> {
  return withSession(await openSession(targetOf(url, "--from"), undefined, deps), async (session) => {
    const { id } = await headOf(session);
    if (fencedFor(id) === undefined) return false;
    await session.rows("UPDATE store_head SET id = ? WHERE id = ?", [headRowId, id]);
    return true;
  });
}

/** Closes the session after; what a database said becomes a sentence for the operator. */
async function withSession<T>(session: SqlSession, use: (session: SqlSession) => Promise<T>): Promise<T> {
  try {
    return await use(session);
  } catch (error) {
    if (error instanceof StoreStartError || !(error instanceof Error) || !isOfDatabase(error)) throw error;
    const said = "sqlMessage" in error ? String(error.sqlMessage) : error.message;
    throw new StoreStartError(`a database stopped the work: ${said}`, { cause: error });
  } finally {
    await session.close();
  }
}

function isOfDatabase(error: Error): boolean {
  return "code" in error || serverFailureOf(error) !== undefined;
}

function targetOf(url: string, option: string): DatabaseTarget {
  try {
    return parseDatabaseUrl(url);
  } catch (cause) {
    if (cause instanceof RangeError) throw new StoreStartError(`the URL of ${option} ${cause.message}`, { cause });
    throw cause;
  }
}

async function headOf(session: SqlSession): Promise<HeadRow> {
  const [head] = await session.rows<HeadRow>(
    "SELECT id, revision, hash, store_epoch, compacted_through FROM store_head",
  );
  if (head === undefined) throw new StoreStartError("there is no store to copy");
  return head;
}

/** Throws unless the target is this copy, unfinished, or a store that nobody has used. */
async function requireFillable(
  target: SqlSession,
  { id, store_epoch }: HeadRow,
  storeEpoch: string,
  place: string,
): Promise<void> {
  if (id === unfinishedHeadId && store_epoch === storeEpoch) return;
  for (const table of contentTables) {
    if ((await countRows(target, table)) > 0) {
      throw new StoreStartError(`${place} holds another store, or a copy of another one: give an empty database`);
    }
  }
}

/** From here on nobody changes the source. Throws if it is fenced for another copy, or a server may still run on it. */
async function fence(source: SqlSession, storeEpoch: string, nowMs: number): Promise<void> {
  await requireNoServer(source, nowMs);
  await source.rows("UPDATE store_head SET id = ? WHERE id = ?", [fencedHeadId(storeEpoch), headRowId]);
  if ((await headOf(source)).id !== fencedHeadId(storeEpoch)) {
    throw new StoreStartError("another copy of the store was begun at the same time");
  }
}

async function requireNoServer(source: SqlSession, nowMs: number): Promise<void> {
  const servers = await source.rows<{ id: string; seen_time_ms: bigint | number }>(
    "SELECT id, seen_time_ms FROM server_presence ORDER BY seen_time_ms DESC LIMIT 1",
  );
  const [last] = servers;
  const agoMs = nowMs - Number(last?.seen_time_ms ?? 0);
  if (last === undefined || agoMs >= serverGoneMs) return;
  throw new StoreStartError(
    `stop every server of the store first: ${last.id} was heard of ${Math.ceil(agoMs / 1000)} s ago ` +
      `(one that was killed counts for ${serverGoneMs / 1000} s)`,
  );
}

/** Gives how many rows were at the target before. */
async function copyTables(source: SqlSession, target: SqlSession, options: CopyOptions): Promise<number> {
  const before = await totalRows(target);
  const onRows = await meter("copy", source, options, before);
  for (const table of contentTables) await copyTable(source, target, table, onRows(table));
  return before;
}

/** Reads both again, whole, and compares. Throws StoreStartError if a table differs. */
async function compareTables(
  source: SqlSession,
  target: SqlSession,
  options: CopyOptions,
): Promise<CopyReport["tables"]> {
  const onRows = await meter("compare", source, options, 0);
  const compared: CopyReport["tables"][number][] = [];
  for (const table of contentTables) {
    const [here, there] = await Promise.all([
      digestTable(source, table, onRows(table)),
      digestTable(target, table, async () => {}),
    ]);
    if (here.digest !== there.digest) {
      throw new StoreStartError(
        `the table ${table.name} differs: ${here.rows} rows at the source, ${there.rows} at the copy. ` +
          "Something wrote meanwhile: empty the target and begin again",
      );
    }
    compared.push({ table: table.name, ...here });
  }
  return compared;
}

/** Opens the copy, where its source stands. */
async function openCopy(source: SqlSession, target: SqlSession): Promise<void> {
  const { revision, hash, compacted_through } = await headOf(source);
  await target.rows("UPDATE store_head SET revision = ?, hash = ?, compacted_through = ?, id = ?", [
    revision,
    Buffer.from(hash),
    compacted_through,
    headRowId,
  ]);
}

async function totalRows(session: SqlSession): Promise<number> {
  let total = 0;
  for (const table of contentTables) total += await countRows(session, table);
  return total;
}

/** Counts rows, tells how it goes, and stops when it is told to. */
async function meter(
  phase: CopyProgress["phase"],
  source: SqlSession,
  { onProgress, stop }: CopyOptions,
  before: number,
): Promise<(table: Table) => OnRows> {
  const total = await totalRows(source);
  const begunMs = performance.now();
  let done = before;
  return (table) => async (rows) => {
    done += rows;
    const rowsPerSecond = ((done - before) * 1000) / Math.max(1, performance.now() - begunMs);
    const restSeconds = Math.max(0, total - done) / rowsPerSecond;
    onProgress?.({ phase, table: table.name, done, total, rowsPerSecond, restSeconds });
    if (stop?.aborted) throw new StoreStartError("the copy was stopped; the same command goes on with it");
  };
}
