import { closeSync, openSync, statSync } from "node:fs";
import Database from "better-sqlite3";
import { syncFolderOf } from "../durable-file.ts";
import { Mutex, type Release } from "./mutex.ts";
import { retryBusy, sqliteCode } from "./sqlite-busy.ts";
import { StoreStartError } from "./start-error.ts";

/**
 * WAL pages (4 KiB) after which they are moved into the database. Four times SQLite's default: an import touches pages
 * all over the indexes, and each checkpoint writes every one of them.
 */
const checkpointPages = 4_000;

/** The file that was opened is no longer what its path names: what is written would be lost. */
export class DatabaseGone extends Error {
  override readonly name = "DatabaseGone";
}

/**
 * A SQLite file: one connection that writes, in one transaction at a time, and one that can only read, so that a read
 * sees committed state whatever is being written. Neither waits for locks inside SQLite, since that would stop the
 * event loop; see `retryBusy`.
 */
export class SqliteConnections {
  readonly path: string;
  readonly writer: Database.Database;
  readonly reader: Database.Database;
  readonly lockWaitMs: number;
  readonly #mutex = new Mutex();
  readonly #inode: string;

  private constructor(path: string, writer: Database.Database, reader: Database.Database, lockWaitMs: number) {
    this.path = path;
    this.writer = writer;
    this.reader = reader;
    this.lockWaitMs = lockWaitMs;
    this.#inode = inodeOf(path);
  }

  /**
   * Opens the file, making it (mode 0600) if there is none. Durable settings are set and verified: WAL, synchronous
   * FULL. Throws StoreStartError if that is not to be had.
   */
  static async open(path: string, lockWaitMs: number): Promise<SqliteConnections> {
    let writer: Database.Database | undefined;
    try {
      makeIfMissing(path);
      const opened = new Database(path, { timeout: 0 });
      writer = opened;
      const deadlineMs = performance.now() + lockWaitMs;
      const journalMode = await retryBusy(() => opened.pragma("journal_mode = WAL", { simple: true }), deadlineMs);
      if (journalMode !== "wal")
        throw new StoreStartError(`the file system under ${path} doesn't allow SQLite's WAL mode`);
      opened.pragma("synchronous = FULL");
      opened.pragma(`wal_autocheckpoint = ${checkpointPages}`);
      opened.pragma("foreign_keys = ON");
      // Touches the file as a write would, without writing.
      await retryBusy(() => opened.exec("BEGIN IMMEDIATE; ROLLBACK"), deadlineMs);
      const reader = new Database(path, { timeout: 0, readonly: true });
      return new SqliteConnections(path, opened, reader, lockWaitMs);
    } catch (error) {
      writer?.close();
      throw startErrorOf(path, error);
    }
  }

  /**
   * Takes the write lock, of this process and of the file, by BEGIN IMMEDIATE on `writer`. Whoever has it ends the
   * transaction and then gives the lock back with `release`, which rolls back what is still open.
   */
  async beginWriting(): Promise<Release> {
    const deadlineMs = performance.now() + this.lockWaitMs;
    const unlock = await this.#mutex.acquire(this.lockWaitMs);
    try {
      this.requirePresent();
      await retryBusy(() => this.writer.exec("BEGIN IMMEDIATE"), deadlineMs);
    } catch (error) {
      unlock();
      throw error;
    }
    return () => {
      if (this.writer.open && this.writer.inTransaction) this.writer.exec("ROLLBACK");
      unlock();
    };
  }

  /** Runs a read on the reader, again if a lock was in its way. */
  read<T>(query: (reader: Database.Database) => T): Promise<T> {
    return retryBusy(() => query(this.reader), performance.now() + this.lockWaitMs);
  }

  /**
   * Runs a read that takes many turns of the event loop, all of it as of one moment, on a connection of its own: the
   * reader's other reads see what is committed meanwhile.
   */
  async readAtLeisure<T>(query: (reader: Database.Database) => Promise<T>): Promise<T> {
    this.requirePresent();
    const reader = new Database(this.path, { timeout: 0, readonly: true });
    try {
      reader.exec("BEGIN");
      return await query(reader);
    } finally {
      // Ends the transaction too.
      reader.close();
    }
  }

  /** Throws DatabaseGone if the path no longer names the file that is open: removed, or replaced by another. */
  requirePresent(): void {
    if (inodeOf(this.path) !== this.#inode)
      throw new DatabaseGone(`${this.path} was removed or replaced; restart to open what is there now`);
  }

  close(): void {
    this.reader.close();
    this.writer.close();
  }
}

/** Makes an empty file of mode 0600, which SQLite gives its side files too, and puts its name on disk. */
function makeIfMissing(path: string): void {
  const there = statSync(path, { throwIfNoEntry: false });
  if (there?.isDirectory()) throw new StoreStartError(`the database file ${path} is a directory`);
  // A file that is there isn't opened: closing it would drop the locks that this process's connections have on it.
  if (there !== undefined) return;
  try {
    closeSync(openSync(path, "wx", 0o600));
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "EEXIST")) throw error;
  }
  syncFolderOf(path);
}

function inodeOf(path: string): string {
  const stat = statSync(path, { throwIfNoEntry: false, bigint: true });
  return stat === undefined ? "none" : `${stat.dev}:${stat.ino}`;
}

function startErrorOf(path: string, error: unknown): unknown {
  if (error instanceof StoreStartError || !(error instanceof Error)) return error;
  const code = sqliteCode(error) || String("code" in error ? error.code : "");
  const text = startTexts.find(([pattern]) => pattern.test(code))?.[1] ?? "can't be opened";
  return new StoreStartError(`the database file ${path} ${text} (${code || error.message})`, { cause: error });
}

const startTexts: readonly (readonly [RegExp, string])[] = [
  [/^(ENOENT|ENOTDIR)$/, "can't be made: its directory doesn't exist"],
  [/^(EACCES|EPERM|EROFS|SQLITE_READONLY|SQLITE_CANTOPEN|SQLITE_PERM)/, "or its directory isn't writable"],
  [/^SQLITE_NOTADB/, "is not a SQLite database"],
  [/^SQLITE_CORRUPT/, "is damaged"],
  [/^SQLITE_(BUSY|LOCKED)/, "is locked by another process"],
  [/^(ENOSPC|EDQUOT|SQLITE_FULL)/, "can't be written: the disk is full"],
];
