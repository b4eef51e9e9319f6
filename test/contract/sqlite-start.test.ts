import { chmodSync, cpSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import Database from "better-sqlite3";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { migrationsFolder, readMigrations } from "../../services/store/migrations.ts";
import type { Store } from "../../services/store/port.ts";
import { StoreStartError } from "../../services/store/start-error.ts";
import { temporaryFolder } from "../support/server-process.ts";
import { changed, newTenantId } from "./samples.ts";
import { openSqliteTestStore, openTestStore } from "./sqlite-files.ts";

let folder: ReturnType<typeof temporaryFolder>;
let url: string;
let migrations: string;
const open: Store[] = [];

beforeEach(() => {
  folder = temporaryFolder("start");
  url = `file:${join(folder.path, "ichor.db")}`;
  migrations = join(folder.path, "migrations");
  cpSync(migrationsFolder("sqlite"), migrations, { recursive: true });
});
afterEach(async () => {
  await Promise.all(open.splice(0).map((store) => store.close()));
  folder.remove();
});

async function opened(options: Partial<Parameters<typeof openTestStore>[0]> = {}): Promise<Store> {
  const store = await openTestStore({ url, migrationsFolder: migrations, ...options });
  open.push(store);
  return store;
}

async function refusal(options: Partial<Parameters<typeof openTestStore>[0]> = {}): Promise<string> {
  const error = await opened(options).then(
    () => new Error("was opened"),
    (thrown: Error) => thrown,
  );
  expect(error).toBeInstanceOf(StoreStartError);
  return error.message;
}

function addMigration(name: string, sql: string): void {
  mkdirSync(join(migrations, name));
  writeFileSync(join(migrations, name, "migration.sql"), sql);
}

function ask(sql: string): unknown[] {
  const database = new Database(url.slice("file:".length));
  try {
    return database.prepare(sql).all();
  } finally {
    database.close();
  }
}

describe("migrations on SQLite", () => {
  it("are recorded as Prisma records them", async () => {
    await opened();
    expect(ask("SELECT * FROM _prisma_migrations ORDER BY migration_name")).toEqual(
      readMigrations(migrations).map(({ name, checksum }) => ({
        id: expect.stringMatching(/^[0-9a-f-]{36}$/),
        checksum,
        migration_name: name,
        logs: null,
        rolled_back_at: null,
        started_at: expect.any(Number),
        finished_at: expect.any(Number),
        applied_steps_count: 1,
      })),
    );
  });

  it("are applied once, and later ones on top, with what is in the store kept", async () => {
    const before = await (await opened()).head();
    addMigration("20270101000000_more", "CREATE TABLE more (x TEXT); INSERT INTO more VALUES ('a;b');");
    const messages: object[] = [];
    const log = { info: (fields: object) => void messages.push(fields), error() {} };
    expect(await (await opened({ log })).head()).toEqual(before);
    expect(messages).toEqual([{ migrations: ["20270101000000_more"] }]);
    await opened({ log });
    expect(messages).toHaveLength(1);
    expect(ask("SELECT x FROM more")).toEqual([{ x: "a;b" }]);
  });

  it("that are pending stop a start that isn't to apply them, and change nothing", async () => {
    expect(await refusal({ migrate: false })).toMatch(/ichor migrate.*20261124000000_init/);
    expect(ask("SELECT name FROM sqlite_schema")).toEqual([]);
    await opened();
    await opened({ migrate: false });
  });

  it("of a newer version refuse the database", async () => {
    addMigration("20270101000000_newer", "CREATE TABLE newer (x TEXT);");
    await opened();
    rmSync(join(migrations, "20270101000000_newer"), { recursive: true });
    expect(await refusal()).toMatch(/newer version.*20270101000000_newer/);
    expect(await refusal({ migrate: false })).toMatch(/newer version/);
  });

  it("that were edited after they were applied are refused", async () => {
    await opened();
    const script = join(migrations, "20261124000000_init", "migration.sql");
    writeFileSync(script, `${readFileSync(script, "utf8")}\n-- one more line\n`);
    expect(await refusal()).toMatch(/20261124000000_init was edited/);
  });

  it("that fail leave the schema as it was", async () => {
    await opened();
    const before = ask("SELECT migration_name FROM _prisma_migrations");
    addMigration("20270101000000_wrong", "CREATE TABLE half (x TEXT); CREATE TABLE half (x TEXT);");
    expect(await refusal()).toMatch(/20270101000000_wrong failed and was rolled back/);
    expect(ask("SELECT name FROM sqlite_schema WHERE name = 'half'")).toEqual([]);
    expect(ask("SELECT migration_name FROM _prisma_migrations")).toEqual(before);
    rmSync(join(migrations, "20270101000000_wrong"), { recursive: true });
    await opened();
  });

  it("that another tool left half-way are refused", async () => {
    await opened();
    const database = new Database(url.slice("file:".length));
    database.exec("UPDATE _prisma_migrations SET finished_at = NULL");
    database.close();
    expect(await refusal()).toMatch(/stopped half-way/);
  });
});

describe("opening SQLite", () => {
  const file = (name: string) => `file:${join(folder.path, name)}`;

  it("refuses a URL that names no database", async () => {
    expect(await refusal({ url: "ichor.db" })).toMatch(/^the database URL must begin with file:/);
  });

  it("takes a file URL", async () => {
    url = `file://${join(folder.path, "a%20b.db")}`;
    await opened();
    url = file("a b.db");
    expect(ask("SELECT revision FROM store_head")).toHaveLength(1);
  });

  it("says that the directory doesn't exist, or is none, or the file is one", async () => {
    expect(await refusal({ url: file("none/ichor.db") })).toMatch(/directory doesn't exist \(ENOENT\)/);
    writeFileSync(join(folder.path, "plain"), "");
    expect(await refusal({ url: file("plain/ichor.db") })).toMatch(/directory doesn't exist \(ENOTDIR\)/);
    expect(await refusal({ url: `file:${folder.path}` })).toMatch(/is a directory/);
  });

  it("says that the directory isn't writable", async () => {
    const place = process.getuid?.() === 0 ? "/proc/self/ichor.db" : join(folder.path, "ichor.db");
    if (process.getuid?.() !== 0) chmodSync(folder.path, 0o500);
    expect(await refusal({ url: `file:${place}` })).toMatch(/(isn't writable|doesn't exist)/);
    chmodSync(folder.path, 0o700);
  });

  it("says that a file is no database, or another's", async () => {
    writeFileSync(join(folder.path, "text"), "This is not a database, whatever its name may be. ".repeat(40));
    expect(await refusal({ url: file("text") })).toMatch(/is not a SQLite database/);
    const other = new Database(join(folder.path, "other"));
    other.exec("CREATE TABLE customers (x TEXT)");
    other.close();
    expect(await refusal({ url: file("other") })).toMatch(/isn't Ichor's.*customers/);
  });

  it("says that another process holds the lock", async () => {
    await opened();
    addMigration("20270101000000_more", "CREATE TABLE more (x TEXT);");
    const other = new Database(url.slice("file:".length));
    other.exec("BEGIN IMMEDIATE");
    expect(await refusal({ lockWaitMs: 100 })).toMatch(/is locked by another process/);
    other.close();
    await opened();
  });
});

describe("a database file that is taken away while it is open", () => {
  it.each([
    ["removed", (path: string) => rmSync(path)],
    [
      "replaced",
      (path: string) => {
        renameSync(path, `${path}.old`);
        cpSync(`${path}.old`, path);
      },
    ],
  ])("is noticed when it was %s: nothing is acknowledged that would be lost", async (_name, take) => {
    const test = await openSqliteTestStore();
    const work = () => test.store.mutate(async () => changed(undefined, newTenantId()));
    await work();
    take(test.path);
    await expect(work()).rejects.toMatchObject({ reason: "STORE_UNAVAILABLE", cause: expect.anything() });
    await expect(test.store.head()).rejects.toMatchObject({ reason: "STORE_UNAVAILABLE" });
    await expect(test.store.changesAfter(0n, 1)).rejects.toMatchObject({ reason: "STORE_UNAVAILABLE" });
    await test.remove();
  });
});
