import { PrismaClient } from "../../gen/prisma/sqlite/client.ts";
import { takeRevision } from "./prisma-head.ts";
import { sqliteAdapterFactory } from "./prisma-sqlite-adapter.ts";
import { type PrismaBackend, transactionMsMax } from "./prisma-store.ts";
import type { SqliteConnections } from "./sqlite-connections.ts";
import { sqliteInserts } from "./sqlite-inserts.ts";
import { sqliteKeySetReader } from "./sqlite-key-set.ts";
import { keyReader, SqliteReads } from "./sqlite-reads.ts";

/** Prisma on a SQLite file that is open and migrated. Closing it closes the file. */
export function sqliteBackend(connections: SqliteConnections): PrismaBackend {
  const client = new PrismaClient({ adapter: sqliteAdapterFactory(connections) });
  const readKey = keyReader(connections.writer);
  const insertMany = sqliteInserts(connections);
  return {
    client,
    hotReads: new SqliteReads(connections),
    loadKeySet: sqliteKeySetReader(connections),
    // A transaction that is open has the writer for itself.
    keyInTransaction: async (_db, id) => readKey(id),
    insertMany: (_db, table, rows) => insertMany(table, rows),
    transact: (work) =>
      client.$transaction(
        async (db) => work(db, await takeRevision(db)),
        // The adapter bounds the wait itself, and says better why; this only stands behind it.
        { maxWait: connections.lockWaitMs * 2, timeout: transactionMsMax },
      ),
    close: async () => {
      await client.$disconnect();
      connections.close();
    },
  };
}
