import { Prisma } from "../../gen/prisma/sqlite/client.ts";
import type { ApiKey } from "../core/api-key.ts";
import type { Db } from "./prisma-reads.ts";
import { columnOf } from "./rows.ts";

// Scopes and labels of keys stand in rows of their own too, for filters.

/** The rows of one table. */
export interface FilterRows {
  readonly table: "key_scope" | "key_label";
  readonly rows: readonly Readonly<Record<string, string>>[];
}

/** Rows of one statement: each is found by its own condition. */
const deletedRowsMax = 100;

/** Gives the rows that keys have. */
export function filterRowsOf(keys: readonly ApiKey[]): readonly FilterRows[] {
  const scopes = keys.flatMap(({ tenantId, id, scopes: listed }) =>
    // A scope that is listed twice has one row.
    [...new Set(listed)].map((scope) => ({ tenantId, scope, keyId: id })),
  );
  const labels = keys.flatMap(({ tenantId, id, labels: given }) =>
    Object.entries(given).map(([name, value]) => ({ tenantId, name, value, keyId: id })),
  );
  return [
    { table: "key_scope", rows: scopes },
    { table: "key_label", rows: labels },
  ];
}

/** Gives the rows that `all` has and `others` hasn't; both of `filterRowsOf`. */
export function rowsWithout(all: readonly FilterRows[], others: readonly FilterRows[]): readonly FilterRows[] {
  const there = new Set(others.flatMap(({ rows }) => rows.map((row) => JSON.stringify(row))));
  return all.map(({ table, rows }) => ({ table, rows: rows.filter((row) => !there.has(JSON.stringify(row))) }));
}

/** Deletes rows, each found by the primary key. */
export async function deleteFilterRows(db: Db, all: readonly FilterRows[]): Promise<void> {
  for (const { table, rows } of all) {
    for (let start = 0; start < rows.length; start += deletedRowsMax) {
      const conditions = rows.slice(start, start + deletedRowsMax).map((row) => {
        const columns = Object.entries(row).map(
          ([name, value]) => Prisma.sql`${Prisma.raw(columnOf(name))} = ${value}`,
        );
        return Prisma.sql`(${Prisma.join(columns, " AND ")})`;
      });
      await db.$executeRaw`DELETE FROM ${Prisma.raw(table)} WHERE ${Prisma.join(conditions, " OR ")}`;
    }
  }
}
