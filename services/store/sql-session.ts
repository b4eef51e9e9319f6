import type Database from "better-sqlite3";
import type { SqliteConnections } from "./sqlite-connections.ts";

/** A connection for plain SQL that is the same for every database. Parameters are written `?`. */
export interface SqlSession {
  /** Integers come as number or bigint, bytes as Buffer. */
  rows<R extends object>(sql: string, values?: readonly unknown[]): Promise<readonly R[]>;
  /** Runs `work` as one transaction, which what it throws rolls back. */
  atomically<T>(work: () => Promise<T>): Promise<T>;
  /** Whether `(a, b) > (?, ?)` finds its place in an index. */
  readonly comparesRows: boolean;
  close(): Promise<void>;
}

/** A session on a SQLite file; closing it closes the connections. */
export function sqliteSession(connections: SqliteConnections): SqlSession {
  const { writer } = connections;
  const prepared = new Map<string, Database.Statement<unknown[]>>();
  return {
    async rows<R extends object>(sql: string, values: readonly unknown[] = []) {
      const statement = prepared.get(sql) ?? writer.prepare<unknown[]>(sql).safeIntegers();
      prepared.set(sql, statement);
      if (statement.reader) return statement.all(...values.map(bound)) as readonly R[];
      statement.run(...values.map(bound));
      return [];
    },
    async atomically(work) {
      const release = await connections.beginWriting();
      try {
        const result = await work();
        writer.exec("COMMIT");
        return result;
      } finally {
        release();
      }
    },
    comparesRows: true,
    close: async () => connections.close(),
  };
}

/** `atomically` on a connection that has nothing else to do. */
export async function betweenBeginAndCommit<T>(
  execute: (sql: string) => Promise<unknown>,
  work: () => Promise<T>,
): Promise<T> {
  await execute("BEGIN");
  try {
    const result = await work();
    await execute("COMMIT");
    return result;
  } catch (error) {
    await execute("ROLLBACK").catch(() => {});
    throw error;
  }
}

/** The driver takes a number for one with a fraction. */
function bound(value: unknown): unknown {
  return typeof value === "number" ? BigInt(value) : value;
}
