import { Prisma } from "../../gen/prisma/sqlite/client.ts";
import type { ApiKey } from "../core/api-key.ts";
import { type Db, inChunks } from "./prisma-reads.ts";
import { columnOf } from "./rows.ts";

// Scopes and labels of keys stand in rows of their own too, for filters.

/** The rows of one table. */
export interface FilterRows {
  readonly table: "key_scope" | "key_label";
  readonly rows: readonly Readonly<Record<string, string>>[];
}

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

/**
 * Deletes rows by statements that no planner can take for anything but a range of the primary key: all columns are given,
 * one of them as a list. (Rows that are joined by OR make PostgreSQL read the whole tenant until it has statistics.)
 */
export async function deleteFilterRows(db: Db, all: readonly FilterRows[]): Promise<void> {
  for (const { table, rows } of all) {
    const listed = ["keyId", table === "key_scope" ? "scope" : "value"];
    const [byKeys, byValues] = listed.map((name) => ({ name, groups: groupsBut(name, rows) }));
    if (byKeys === undefined || byValues === undefined) throw new TypeError("unreachable");
    const { name, groups } = byKeys.groups.length <= byValues.groups.length ? byKeys : byValues;
    for (const group of groups) {
      const conditions = Object.entries(group[0] ?? {})
        .filter(([column]) => column !== name)
        .map(([column, value]) => Prisma.sql`${Prisma.raw(columnOf(column))} = ${value}`);
      await inChunks(
        group.map((row) => row[name]),
        async (values) => [
          await db.$executeRaw`
            DELETE FROM ${Prisma.raw(table)}
            WHERE ${Prisma.join(conditions, " AND ")} AND ${Prisma.raw(columnOf(name))} IN (${Prisma.join(values)})`,
        ],
      );
    }
  }
}

type Row = FilterRows["rows"][number];

/** The rows in groups of those that differ in one column only. */
function groupsBut(column: string, rows: readonly Row[]): readonly (readonly Row[])[] {
  const groups = new Map<string, Row[]>();
  for (const row of rows) {
    const key = JSON.stringify({ ...row, [column]: "" });
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [row]);
    else group.push(row);
  }
  return [...groups.values()];
}
