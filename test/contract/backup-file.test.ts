import { statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import Database from "better-sqlite3";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { backupFile } from "../../services/store/backup-file.ts";
import { StoreStartError } from "../../services/store/start-error.ts";
import { temporaryFolder } from "../support/server-process.ts";
import { openTestStore } from "./sqlite-files.ts";

let folder: ReturnType<typeof temporaryFolder>;
let to: string;
beforeEach(() => {
  folder = temporaryFolder("backup");
  to = join(folder.path, "copy.db");
});
afterEach(() => folder.remove());

describe("a backup of a SQLite store", () => {
  it("is a store of what is committed, its owner's only, made while somebody writes", async () => {
    const path = join(folder.path, "ichor.db");
    const store = await openTestStore({ url: `file:${path}` });
    const head = await store.head();
    const writer = new Database(path);
    writer.exec("BEGIN IMMEDIATE; UPDATE store_head SET revision = 77");
    backupFile(`file:${path}`, to);
    writer.exec("ROLLBACK");
    writer.close();
    await store.close();
    expect((statSync(to).mode & 0o777).toString(8)).toBe("600");
    const copy = await openTestStore({ url: `file:${to}`, migrate: false });
    expect(await copy.head()).toEqual(head);
    await copy.close();
  });

  it("never takes the place of a file, and isn't made of what is no file", () => {
    writeFileSync(to, "an older backup");
    const path = join(folder.path, "none.db");
    expect(() => backupFile(`file:${path}`, to)).toThrow(StoreStartError);
    expect(() => backupFile("postgresql://user@host/database", to)).toThrow(/by the database's own means/);
    writeFileSync(path, "no database");
    expect(() => backupFile(`file:${path}`, to)).toThrow(/EEXIST/);
    expect(() => backupFile(`file:${path}`, `${to}.new`)).toThrow(/the backup can't be made/);
    expect(statSync(`${to}.new`, { throwIfNoEntry: false })).toBeUndefined();
    expect(statSync(to).size).toBe("an older backup".length);
  });
});
