import { type ConnectionConfig, createPool, type Pool } from "mariadb";
import type { ServerDatabase } from "../core/database-url.ts";
import { connectMsMax, idleMsMax, silenceMsMax, statementMsMax } from "./server-limits.ts";
import { serverTlsOf } from "./server-tls.ts";

/** Kept prepared on each connection: what comes again and again, and lists of a few lengths. */
const preparedMax = 200;

/** How a connection of its own is made. */
export function mysqlConnectionConfig(database: ServerDatabase): ConnectionConfig {
  const ssl = serverTlsOf(database);
  return {
    host: database.host,
    port: database.port,
    user: database.user,
    password: database.password,
    database: database.database,
    charset: "utf8mb4",
    connectTimeout: connectMsMax,
    // Errors tell the statement, and must not tell what it was given.
    logParam: false,
    // How MySQL takes a password over a connection without TLS, where the database URL asks for one.
    ...(ssl === undefined ? { allowPublicKeyRetrieval: true } : { ssl: ssl as NonNullable<ConnectionConfig["ssl"]> }),
  };
}

/** The connections of this process to MySQL or MariaDB. */
export function createMysqlPool(database: ServerDatabase, lockWaitMs: number): Pool {
  const lockWaitSeconds = Math.max(1, Math.ceil(lockWaitMs / 1_000));
  const pool = createPool({
    ...mysqlConnectionConfig(database),
    connectionLimit: database.connectionsMax,
    minimumIdle: 1,
    acquireTimeout: connectMsMax,
    idleTimeout: idleMsMax / 1_000,
    socketTimeout: silenceMsMax,
    prepareCacheLength: preparedMax,
    initSql: [
      "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
      // A value that doesn't fit is refused, not cut; the bound of statements has a name of its own on each server.
      `SET SESSION sql_mode = 'STRICT_TRANS_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION',
        innodb_lock_wait_timeout = ${lockWaitSeconds}
        /*M! , max_statement_time = ${statementMsMax / 1_000} */ /*!80000 , max_execution_time = ${statementMsMax} */`,
    ],
  });
  // Without a listener a failing connection could end the process; the pool replaces it.
  (pool as unknown as NodeJS.EventEmitter).on("error", () => {});
  return pool;
}
