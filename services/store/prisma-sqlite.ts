import { PrismaClient } from "../../gen/prisma/sqlite/client.ts";
import type { Head } from "../core/change.ts";
import { type Db, headRowId } from "./prisma-reads.ts";
import { sqliteAdapterFactory } from "./prisma-sqlite-adapter.ts";
import type { PrismaBackend } from "./prisma-store.ts";
import type { SqliteConnections } from "./sqlite-connections.ts";
import { keyReader, SqliteReads } from "./sqlite-reads.ts";

/** Prisma on a SQLite file that is open and migrated. Closing it closes the file. */
export function sqliteBackend(connections: SqliteConnections): PrismaBackend {
  const client = new PrismaClient({ adapter: sqliteAdapterFactory(connections) });
  return {
    client,
    hotReads: new SqliteReads(connections),
    // A transaction that is open has the writer for itself.
    keyInTransaction: keyReader(connections.writer),
    lockWaitMs: connections.lockWaitMs,
    takeRevision,
    close: async () => {
      await client.$disconnect();
      connections.close();
    },
  };
}

/** BEGIN IMMEDIATE has the write lock already; on PostgreSQL and CockroachDB this statement takes the row's. */
async function takeRevision(db: Db): Promise<Head> {
  const [head] = await db.$queryRaw<Head[]>`
    UPDATE store_head SET revision = revision + 1 WHERE id = ${headRowId}
    RETURNING revision, hash, store_epoch AS "storeEpoch"`;
  if (head === undefined) throw new Error("the store has no head row");
  return head;
}
