import type { Socket } from "node:net";
import { type ClientConfig, Pool, types } from "pg";
import type { ServerDatabase } from "../core/database-url.ts";
import { idleMsOf, type ServerLimits, serverLimitsDefault } from "./server-limits.ts";
import { serverTlsOf } from "./server-tls.ts";

/** How a connection of its own is made. */
export function postgresClientConfig(
  database: ServerDatabase,
  { connectMs }: Pick<ServerLimits, "connectMs"> = serverLimitsDefault,
): ClientConfig {
  const ssl = serverTlsOf(database);
  return {
    host: database.host,
    port: database.port,
    user: database.user,
    password: database.password,
    database: database.database,
    application_name: "ichor",
    connectionTimeoutMillis: connectMs,
    keepAlive: true,
    ssl: ssl ?? false,
  };
}

/** The connections of this process to PostgreSQL or what speaks its protocol. */
export function createPostgresPool(database: ServerDatabase, limits: ServerLimits): Pool {
  const pool = new Pool({
    ...postgresClientConfig(database, limits),
    max: database.connectionsMax,
    idleTimeoutMillis: idleMsOf(limits),
    statement_timeout: limits.statementMs,
    lock_timeout: limits.lockWaitMs,
    // CockroachDB knows no weaker level than its own, and its conflicts are retried.
    ...(database.provider === "postgresql" && { options: "-c default_transaction_isolation=read\\ committed" }),
  });
  // Without a listener a lost connection that nobody uses would end the process; the pool replaces it.
  pool.on("error", () => {});
  pool.on("connect", (client) => {
    const { stream } = (client as unknown as { connection: { stream: Socket } }).connection;
    stream.setTimeout(limits.silenceMs, () =>
      stream.destroy(new Error("Connection terminated: the database is silent")),
    );
  });
  return pool;
}

const int8 = 20;

/** Parsers of columns for the hot reads: 64-bit integers as bigint, for all else the driver's own. */
export const postgresTypes = {
  getTypeParser: ((oid: number, format?: "text") =>
    oid === int8 ? (text: string) => BigInt(text) : types.getTypeParser(oid, format)) as typeof types.getTypeParser,
};
