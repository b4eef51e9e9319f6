import { PrismaMariaDb } from "@prisma/adapter-mariadb";
import type { Pool } from "mariadb";
import { PrismaClient as MysqlClient } from "../../gen/prisma/mysql/client.ts";
import { Prisma, type PrismaClient } from "../../gen/prisma/sqlite/client.ts";
import { forMysql, keySql } from "./hot-read-sql.ts";
import type { MysqlPool } from "./mysql-pool.ts";
import { MysqlReads } from "./mysql-reads.ts";
import { takeRevisionInTwo } from "./prisma-head.ts";
import { keySetReader } from "./prisma-key-set.ts";
import { serverTransactions } from "./prisma-server.ts";
import type { PrismaBackend } from "./prisma-store.ts";
import { type KeyWithVersionRow, keyOfRows } from "./rows.ts";
import type { ServerLimits } from "./server-limits.ts";

const [beforeId = "", afterId = ""] = forMysql(keySql).split("?");

/** Prisma on MySQL or MariaDB, over connections that it shares with the hot reads. Closing it closes them. */
export function mysqlBackend(pool: MysqlPool, limits: ServerLimits): PrismaBackend {
  // The clients differ in types that nothing here uses; models, errors and raw SQL are the same at run time.
  const client = new MysqlClient({ adapter: new PrismaMariaDb(pool as Pool) }) as unknown as PrismaClient;
  return {
    client,
    hotReads: new MysqlReads(pool),
    loadKeySet: keySetReader(client, "RepeatableRead"),
    keyInTransaction: async (db, id) =>
      keyOfRows(await db.$queryRaw<KeyWithVersionRow[]>(Prisma.sql([beforeId, afterId], id))),
    ...serverTransactions(client, limits, takeRevisionInTwo, () => ({
      used: pool.activeConnections(),
      idle: pool.idleConnections(),
      waiting: pool.taskQueueSize(),
    })),
    close: async () => {
      await client.$disconnect();
      if (!pool.closed) await pool.end();
    },
  };
}
