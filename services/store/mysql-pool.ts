import type { EventEmitter } from "node:events";
import { type ConnectionConfig, createPool, type Pool } from "mariadb";
import type { ServerDatabase } from "../core/database-url.ts";
import { idleMsOf, type ServerLimits, serverLimitsDefault } from "./server-limits.ts";
import { serverTlsOf } from "./server-tls.ts";

/** Kept prepared on each connection: what comes again and again, and lists of a few lengths. */
const preparedMax = 200;
/** Failures to connect in a row after which a pool is replaced: the driver waits 0.2 s more after each. */
const failuresMax = 4;

/** How a connection of its own is made. */
export function mysqlConnectionConfig(
  database: ServerDatabase,
  { connectMs }: Pick<ServerLimits, "connectMs"> = serverLimitsDefault,
): ConnectionConfig {
  const ssl = serverTlsOf(database);
  return {
    host: database.host,
    port: database.port,
    user: database.user,
    password: database.password,
    database: database.database,
    // Told while connecting; a character set by name would cost a statement, with the fault below.
    collation: "UTF8MB4_BIN",
    connectTimeout: connectMs,
    // Errors tell the statement, and must not tell what it was given.
    logParam: false,
    // How MySQL takes a password over a connection without TLS, where the database URL asks for one.
    ...(ssl === undefined ? { allowPublicKeyRetrieval: true } : { ssl: ssl as NonNullable<ConnectionConfig["ssl"]> }),
  };
}

/** What the store and Prisma ask of a pool. */
export type MysqlPool = Pick<
  Pool,
  "getConnection" | "execute" | "query" | "end" | "closed" | "activeConnections" | "idleConnections" | "taskQueueSize"
>;

/**
 * The connections of this process to MySQL or MariaDB. The driver's pool waits longer after each failure, up to 10 s,
 * before it tries to connect again; this one puts a new pool in its place before that, so that a database that is back
 * is used within about a second.
 */
export function createMysqlPool(database: ServerDatabase, limits: ServerLimits): MysqlPool {
  let failures = 0;
  const renewing = (): Pool => {
    const pool = createDriverPool(database, limits);
    const events = pool as unknown as EventEmitter;
    events.on("connection", () => {
      failures = 0;
    });
    // A pool without a listener would end the process by its failures.
    events.on("error", () => {
      if (pool !== current || ++failures < failuresMax) return;
      failures = 0;
      current = renewing();
      pool.end().catch(noMatter);
    });
    return pool;
  };
  let current = renewing();
  let closed = false;
  return {
    getConnection: () => current.getConnection(),
    execute: (sql, values) => current.execute(sql, values),
    query: (sql, values) => current.query(sql, values),
    activeConnections: () => current.activeConnections(),
    idleConnections: () => current.idleConnections(),
    taskQueueSize: () => current.taskQueueSize(),
    get closed() {
      return closed;
    },
    end() {
      closed = true;
      return current.end();
    },
  };
}

function createDriverPool(database: ServerDatabase, limits: ServerLimits): Pool {
  const pool = createPool({
    ...mysqlConnectionConfig(database, limits),
    connectionLimit: database.connectionsMax,
    minimumIdle: 1,
    acquireTimeout: limits.connectMs,
    idleTimeout: Math.ceil(idleMsOf(limits) / 1_000),
    socketTimeout: limits.silenceMs,
    prepareCacheLength: preparedMax,
  });
  // Not by the driver's `initSql`: should the connection break meanwhile, it leaves a rejection that nobody handles.
  (pool as unknown as EventEmitter).on("connection", (connection: DriverConnection) => {
    for (const sql of sessionSql(limits)) connection.query({ sql }, noMatter, noMatter);
  });
  return pool;
}

/** What the pool tells of a new connection: the driver's own, with callbacks. What is asked now is done first. */
interface DriverConnection {
  query(command: { readonly sql: string }, resolve: () => void, reject: () => void): void;
}

/** A connection that can't even do this says so to whoever uses it. */
function noMatter(): void {}

function sessionSql({ lockWaitMs, statementMs }: ServerLimits): readonly string[] {
  const lockWaitSeconds = Math.max(1, Math.ceil(lockWaitMs / 1_000));
  return [
    "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
    // The bound of statements has a name of its own on each server.
    `SET SESSION innodb_lock_wait_timeout = ${lockWaitSeconds}
      /*M! , max_statement_time = ${statementMs / 1_000} */ /*!80000 , max_execution_time = ${statementMs} */`,
  ];
}
