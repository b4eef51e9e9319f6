import { setImmediate as nextTurn } from "node:timers/promises";
import { PrismaBetterSqlite3 } from "@prisma/adapter-better-sqlite3";
import {
  DriverAdapterError,
  type SqlDriverAdapter,
  type SqlDriverAdapterFactory,
  type SqlQuery,
  type SqlQueryable,
  type SqlResultSet,
  type Transaction,
} from "@prisma/driver-adapter-utils";
import type Database from "better-sqlite3";
import type { Release } from "./mutex.ts";
import type { SqliteConnections } from "./sqlite-connections.ts";

/**
 * Prisma's way to a SQLite file. The stock adapter has one connection for everything: a read sees what an open
 * transaction hasn't committed, and a write outside is lost when that transaction rolls back. Here reads go to the
 * read-only connection, writes wait for their turn, and a lock that another process holds is awaited without stopping
 * the event loop. Only the conversion of values and errors is the stock adapter's.
 */
export function sqliteAdapterFactory(connections: SqliteConnections): SqlDriverAdapterFactory {
  return {
    provider: "sqlite",
    adapterName: "ichor-better-sqlite3",
    connect: async () =>
      new SqliteAdapter(connections, await converting(connections.writer), await converting(connections.reader)),
  };
}

/** The stock adapter's queries and conversions over one of our connections. */
async function converting(connection: Database.Database): Promise<SqlQueryable> {
  const stock = (await new PrismaBetterSqlite3({ url: ":memory:" }).connect()) as unknown as {
    client: Database.Database;
  } & SqlQueryable;
  stock.client.close();
  stock.client = connection;
  connection.defaultSafeIntegers(true);
  return stock;
}

class SqliteAdapter implements SqlDriverAdapter {
  readonly provider = "sqlite";
  readonly adapterName = "ichor-better-sqlite3";
  readonly #connections: SqliteConnections;
  readonly #writer: SqlQueryable;
  readonly #reader: SqlQueryable;

  constructor(connections: SqliteConnections, writer: SqlQueryable, reader: SqlQueryable) {
    this.#connections = connections;
    this.#writer = writer;
    this.#reader = reader;
  }

  async queryRaw(query: SqlQuery): Promise<SqlResultSet> {
    // By text, and narrowly: INSERT … RETURNING comes here too, and a WITH may write.
    if (!/^\s*SELECT\b/i.test(query.sql)) return this.#write((writer) => writer.queryRaw(query));
    return retryConverted(() => this.#reader.queryRaw(query), performance.now() + this.#connections.lockWaitMs);
  }

  executeRaw(query: SqlQuery): Promise<number> {
    return this.#write((writer) => writer.executeRaw(query));
  }

  async executeScript(): Promise<void> {
    throw new TypeError("scripts are run by the migration runner, not through Prisma");
  }

  async startTransaction(): Promise<Transaction> {
    return new SqliteTransaction(this.#connections.writer, this.#writer, await this.#begin());
  }

  /** The connections belong to who opened them. */
  async dispose(): Promise<void> {}

  /** One statement outside any transaction is a transaction of its own. */
  async #write<T>(statement: (writer: SqlQueryable) => Promise<T>): Promise<T> {
    const release = await this.#begin();
    try {
      const result = await statement(this.#writer);
      this.#connections.writer.exec("COMMIT");
      await nextTurn();
      return result;
    } finally {
      release();
    }
  }

  async #begin(): Promise<Release> {
    try {
      return await this.#connections.beginWriting();
    } catch (error) {
      throw asAdapterError(error);
    }
  }
}

class SqliteTransaction implements Transaction {
  readonly provider = "sqlite";
  readonly adapterName = "ichor-better-sqlite3";
  /** Prisma sends COMMIT and ROLLBACK as statements before it calls `commit` and `rollback`. */
  readonly options = { usePhantomQuery: false };
  readonly #connection: Database.Database;
  readonly #queries: SqlQueryable;
  readonly #release: Release;

  constructor(connection: Database.Database, queries: SqlQueryable, release: Release) {
    this.#connection = connection;
    this.#queries = queries;
    this.#release = release;
  }

  async queryRaw(query: SqlQuery): Promise<SqlResultSet> {
    this.#requireOpen();
    return this.#queries.queryRaw(query);
  }

  async executeRaw(query: SqlQuery): Promise<number> {
    if (query.sql === "ROLLBACK" && !this.#connection.inTransaction) return 0;
    this.#requireOpen();
    return this.#queries.executeRaw(query);
  }

  async commit(): Promise<void> {
    // A loop of transactions would otherwise run in microtasks only, and no timer or socket would get its turn.
    await nextTurn();
    this.#release();
  }

  async rollback(): Promise<void> {
    this.#release();
  }

  /** SQLite ends a transaction by itself when the disk is full or fails; what came after would commit by itself. */
  #requireOpen(): void {
    if (!this.#connection.inTransaction)
      throw new DriverAdapterError({ kind: "TransactionAlreadyClosed", cause: "rolled back by SQLite" });
  }
}

async function retryConverted<T>(attempt: () => Promise<T>, deadlineMs: number): Promise<T> {
  // The stock adapter works synchronously and converts what SQLite throws; a busy reader is rare enough to ask again.
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      if (
        !(error instanceof DriverAdapterError) ||
        error.cause.kind !== "SocketTimeout" ||
        performance.now() >= deadlineMs
      )
        throw error;
      await nextTurn();
    }
  }
}

function asAdapterError(error: unknown): unknown {
  if (!(error instanceof Error)) return error;
  const originalCode = "code" in error && typeof error.code === "string" ? error.code : error.name;
  return new DriverAdapterError({ kind: "SocketTimeout", originalCode, originalMessage: error.message });
}
