import { PrismaPg } from "@prisma/adapter-pg";
import type { Pool } from "pg";
import { Prisma, type PrismaClient } from "../../gen/prisma/sqlite/client.ts";
import type { ServerDatabase } from "../core/database-url.ts";
import { keySql } from "./hot-read-sql.ts";
import { PostgresReads } from "./postgres-reads.ts";
import { takeRevision } from "./prisma-head.ts";
import { keySetReader } from "./prisma-key-set.ts";
import { serverTransactions } from "./prisma-server.ts";
import type { PrismaBackend } from "./prisma-store.ts";
import { type KeyWithVersionRow, keyOfRows } from "./rows.ts";
import type { ServerLimits } from "./server-limits.ts";

const [beforeId = "", afterId = ""] = keySql.split("?");

/** Prisma on PostgreSQL or CockroachDB, over connections that it shares with the hot reads. Closing it closes them. */
export async function postgresBackend(
  { provider }: ServerDatabase,
  pool: Pool,
  limits: ServerLimits,
): Promise<PrismaBackend> {
  const generated =
    provider === "cockroachdb"
      ? await import("../../gen/prisma/cockroachdb/client.ts")
      : await import("../../gen/prisma/postgresql/client.ts");
  // The clients differ in types that nothing here uses; models, errors and raw SQL are the same at run time.
  const Client = generated.PrismaClient as unknown as typeof PrismaClient;
  const client = new Client({ adapter: new PrismaPg(pool) });
  return {
    client,
    hotReads: new PostgresReads(pool, limits),
    // Every transaction of CockroachDB is serializable.
    loadKeySet: keySetReader(client, provider === "cockroachdb" ? "Serializable" : "RepeatableRead"),
    keyInTransaction: async (db, id) =>
      keyOfRows(await db.$queryRaw<KeyWithVersionRow[]>(Prisma.sql([beforeId, afterId], id))),
    ...serverTransactions(client, limits, takeRevision, () => ({
      used: pool.totalCount - pool.idleCount,
      idle: pool.idleCount,
      waiting: pool.waitingCount,
    })),
    close: async () => {
      await client.$disconnect();
      if (!pool.ended) await pool.end();
    },
  };
}
