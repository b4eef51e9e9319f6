import { randomBytes } from "node:crypto";
import { join } from "node:path";
import Database from "better-sqlite3";
import { openStore, type StoreOptions } from "../../services/store/open-store.ts";
import { FakeClock } from "../fakes/clock.ts";
import { temporaryFolder } from "../support/server-process.ts";
import type { TestStore } from "./store.contract.ts";

export const silent = { info() {}, error() {} };

/** Opens a store with the settings that the tests share. */
export function openTestStore(options: Pick<StoreOptions, "url"> & Partial<StoreOptions>) {
  return openStore({
    migrate: true,
    clock: new FakeClock(),
    random: randomBytes,
    log: silent,

    ...options,
  });
}

/** A store on a SQLite file of its own, and a second connection to that file. */
export async function openSqliteTestStore(
  options: Pick<StoreOptions, "lockWaitMs"> = {},
): Promise<TestStore & { readonly path: string }> {
  const folder = temporaryFolder("store");
  const path = join(folder.path, "ichor.db");
  const store = await openTestStore({ url: `file:${path}`, ...options });
  const other = new Database(path);
  return {
    store,
    path,
    query: async (sql) => {
      const statement = other.prepare(sql);
      if (statement.reader) return statement.all() as Record<string, unknown>[];
      statement.run();
      return [];
    },
    lockHead: async () => {
      other.exec("BEGIN IMMEDIATE");
      return async () => void other.exec("ROLLBACK");
    },
    remove: async () => {
      other.close();
      await store.close();
      folder.remove();
    },
  };
}
