import { readFileSync } from "node:fs";
import Database from "better-sqlite3";
import { describe, expect, it } from "vitest";
import { migrationsFolder, readMigrations } from "../../services/store/migrations.ts";
import type { Field } from "../support/models.ts";
import { columnText, describeSchema, foreignKeyText, indexText, models, type Table } from "./schema.ts";

const types: Readonly<Record<string, Field["type"]>> = {
  TEXT: "String",
  BIGINT: "BigInt",
  INTEGER: "Int",
  BLOB: "Bytes",
};

const live = tablesOfDatabase();
describeSchema("SQLite", async () => live);

describe("the models", () => {
  it("name every unique and index, and no provider's types", () => {
    const text = readFileSync("prisma/models.prisma", "utf8");
    expect(text.match(/@@(unique|index)\(/g)?.length).toBe(text.match(/@@(unique|index)\(.*map: "[a-z_]+"\)/g)?.length);
    expect(text).not.toMatch(/@db\.|\bJson\b|\bDecimal\b|autoincrement|dbgenerated|[^@]@unique|@updatedAt|@default/);
  });

  it("have their tables in the migrations of every provider, which can be seen without a server", () => {
    for (const provider of ["sqlite", "postgresql", "mysql", "cockroachdb"] as const) {
      const sql = readMigrations(migrationsFolder(provider))
        .map((migration) => migration.sql)
        .join("\n");
      const missing = models.flatMap(({ table, fields }) =>
        [table, ...fields.map(({ column }) => column)].filter((name) => !new RegExp(`["\`]${name}["\`]`).test(sql)),
      );
      expect(missing, `in prisma/migrations/${provider}; see scripts/sql-of-models.mjs`).toEqual([]);
    }
  });
});

function tablesOfDatabase(): readonly Table[] {
  const database = new Database(":memory:");
  for (const { sql } of readMigrations(migrationsFolder("sqlite"))) database.exec(sql);
  const names = database
    .prepare("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")
    .pluck()
    .all() as string[];
  const rows = (sql: string, name: string) => database.prepare(sql).all(name) as Record<string, string | number>[];
  return names.map((name) => {
    const columns = rows("SELECT * FROM pragma_table_info(?)", name);
    return {
      name,
      columns: columns
        .map((column) => columnText(String(column.name), types[String(column.type)], column.notnull !== 1))
        .sort(),
      primaryKey: columns
        .filter(({ pk }) => pk !== 0)
        .sort((a, b) => Number(a.pk) - Number(b.pk))
        .map((column) => String(column.name)),
      indexes: rows("SELECT * FROM pragma_index_list(?) WHERE origin = 'c'", name)
        .map((index) => {
          const parts = rows("SELECT name FROM pragma_index_info(?)", String(index.name)).map((part) =>
            String(part.name),
          );
          return indexText(String(index.name), index.unique === 1, parts);
        })
        .sort(),
      foreignKeys: rows("SELECT * FROM pragma_foreign_key_list(?)", name)
        .map(({ from, table, to, on_delete, on_update }) =>
          foreignKeyText({
            column: String(from),
            table: String(table),
            to: String(to),
            onDelete: String(on_delete),
            onUpdate: String(on_update),
          }),
        )
        .sort(),
    };
  });
}
