import { readFileSync } from "node:fs";
import Database from "better-sqlite3";
import { describe, expect, it } from "vitest";
import { migrationsFolder, readMigrations } from "../../services/store/migrations.ts";

/** What a schema says of a table, in words that models and database share. */
interface Table {
  readonly columns: readonly string[];
  readonly primaryKey: readonly string[];
  readonly indexes: readonly string[];
  readonly foreignKeys: readonly string[];
}

const sqliteTypes: Readonly<Record<string, string>> = {
  String: "TEXT",
  BigInt: "BIGINT",
  Int: "INTEGER",
  Bytes: "BLOB",
};

const models = tablesOfModels(readFileSync("prisma/models.prisma", "utf8"));
const live = tablesOfDatabase();

describe("the schema that the migrations make on SQLite", () => {
  it("has the tables of the models", () => {
    expect([...models.keys()]).toHaveLength(13);
    expect([...live.keys()].sort()).toEqual([...models.keys()].sort());
  });

  it.each([...models.keys()])("has %s as the models have it", (name) => {
    expect(live.get(name)).toEqual(models.get(name));
  });
});

describe("the models", () => {
  it("name every unique and index, and no provider's types", () => {
    const text = readFileSync("prisma/models.prisma", "utf8");
    expect(text.match(/@@(unique|index)\(/g)?.length).toBe(text.match(/@@(unique|index)\(.*map: "[a-z_]+"\)/g)?.length);
    expect(text).not.toMatch(/@db\.|\bJson\b|\bDecimal\b|autoincrement|dbgenerated|[^@]@unique|@updatedAt|@default/);
  });
});

function tablesOfDatabase(): ReadonlyMap<string, Table> {
  const database = new Database(":memory:");
  for (const { sql } of readMigrations(migrationsFolder("sqlite"))) database.exec(sql);
  const names = database
    .prepare("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")
    .pluck()
    .all() as string[];
  const rows = (sql: string, name: string) => database.prepare(sql).all(name) as Record<string, string | number>[];
  return new Map(
    names.map((name) => {
      const columns = rows("SELECT * FROM pragma_table_info(?)", name);
      return [
        name,
        {
          columns: columns.map((column) => `${column.name} ${column.type}${column.notnull === 1 ? "" : "?"}`),
          primaryKey: columns
            .filter(({ pk }) => pk !== 0)
            .sort((a, b) => Number(a.pk) - Number(b.pk))
            .map((column) => String(column.name)),
          indexes: rows("SELECT * FROM pragma_index_list(?) WHERE origin = 'c'", name)
            .map(
              (index) =>
                `${index.name}${index.unique === 1 ? " unique" : ""} (${columnsOf(rows("SELECT name FROM pragma_index_info(?)", String(index.name)))})`,
            )
            .sort(),
          foreignKeys: rows("SELECT * FROM pragma_foreign_key_list(?)", name).map(
            (key) => `${key.from} -> ${key.table}.${key.to} delete ${key.on_delete} update ${key.on_update}`,
          ),
        },
      ];
    }),
  );
}

function columnsOf(rows: readonly Record<string, string | number>[]): string {
  return rows.map(({ name }) => name).join(", ");
}

/** Reads the models, of whose syntax this knows as much as they use. */
function tablesOfModels(text: string): ReadonlyMap<string, Table> {
  const blocks = [...text.matchAll(/^model (\w+) \{\n([\s\S]*?)\n\}/gm)].map(([, name = "", body = ""]) => ({
    name,
    body,
  }));
  const tableOf = new Map(blocks.map(({ name, body }) => [name, /@@map\("(\w+)"\)/.exec(body)?.[1] ?? name]));
  return new Map(blocks.map(({ name, body }) => [tableOf.get(name) ?? name, tableOfModel(body, tableOf)]));
}

function tableOfModel(body: string, tableOf: ReadonlyMap<string, string>): Table {
  const lines = body
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "" && !line.startsWith("//"));
  const fields = lines.flatMap((line) => {
    const [, field = "", type = "", optional = "", rest = ""] = /^(\w+)\s+(\w+)(\?|\[\])?(.*)$/.exec(line) ?? [];
    return sqliteTypes[type] === undefined
      ? []
      : [{ field, type: sqliteTypes[type], optional, rest, column: /@map\("(\w+)"\)/.exec(rest)?.[1] ?? field }];
  });
  const columnOf = (field: string) => fields.find((one) => one.field === field.trim())?.column ?? field;
  const listOf = (list: string) => list.split(",").map(columnOf);
  const blockId = /@@id\(\[(.*?)\]\)/.exec(body)?.[1];
  return {
    columns: fields.map(({ column, type, optional }) => `${column} ${type}${optional}`),
    primaryKey:
      blockId === undefined
        ? fields.filter(({ rest }) => /@id\b/.test(rest)).map(({ column }) => column)
        : listOf(blockId),
    indexes: [...body.matchAll(/@@(unique|index)\(\[(.*?)\], map: "(\w+)"\)/g)]
      .map(([, kind, list = "", name]) => `${name}${kind === "unique" ? " unique" : ""} (${listOf(list).join(", ")})`)
      .sort(),
    foreignKeys: [
      ...body.matchAll(
        /^\s*\w+\s+(\w+)\s+@relation\(fields: \[(\w+)\], references: \[(\w+)\], onDelete: (\w+), onUpdate: (\w+)\)/gm,
      ),
    ].map(
      ([, model = "", from = "", to, onDelete = "", onUpdate = ""]) =>
        `${columnOf(from)} -> ${tableOf.get(model)}.${to} delete ${onDelete.toUpperCase()} update ${onUpdate.toUpperCase()}`,
    ),
  };
}
