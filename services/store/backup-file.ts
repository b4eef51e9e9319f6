import { closeSync, existsSync, fsyncSync, openSync, rmSync } from "node:fs";
import Database from "better-sqlite3";
import { parseDatabaseUrl } from "../core/database-url.ts";
import { syncFolderOf } from "../durable-file.ts";
import { StoreStartError } from "./start-error.ts";

/**
 * Writes a copy of a SQLite store, as it is at one moment, into a new file (mode 0600), while servers read and write. It is
 * on disk when this returns. Throws StoreStartError if the store isn't a file, or the copy can't be made.
 */
export function backupFile(url: string, to: string): void {
  const target = parseDatabaseUrl(url);
  if (target.provider !== "sqlite") {
    throw new StoreStartError(
      `a store on ${target.provider} is backed up by the database's own means: see the operating guide's page on backups`,
    );
  }
  if (!existsSync(target.path)) throw new StoreStartError(`the database file ${target.path} doesn't exist`);
  // Made first, and empty, so that it is never anybody else's to read; an older backup isn't written over.
  const file = openSync(to, "wx", 0o600);
  try {
    const store = new Database(target.path, { readonly: true });
    try {
      store.prepare("VACUUM INTO ?").run(to);
    } finally {
      store.close();
    }
    // SQLite leaves that to the system.
    fsyncSync(file);
    syncFolderOf(to);
  } catch (cause) {
    rmSync(to, { force: true });
    throw new StoreStartError(`the backup can't be made: ${cause instanceof Error ? cause.message : cause}`, { cause });
  } finally {
    closeSync(file);
  }
}
