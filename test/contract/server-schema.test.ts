import { createConnection } from "mariadb";
import { Client } from "pg";
import { afterAll, beforeAll, expect, it } from "vitest";
import { createTestDatabase, mariadbOptions, type TestDatabase } from "../support/databases.ts";
import type { Field } from "../support/models.ts";
import { requirement } from "../support/requirements.ts";
import { columnText, describeSchema, foreignKeyText, indexText, type Table } from "./schema.ts";
import { storeUrlOf } from "./server-stores.ts";
import { openTestStore } from "./sqlite-files.ts";

type Ask = (sql: string) => Promise<readonly Record<string, string>[]>;

const postgres = await requirement("postgres");
const mariadb = await requirement("mariadb");

postgres.describe("with a PostgreSQL server", (serverUrl) => {
  for (const [name, scheme] of [
    ["PostgreSQL", "postgresql:"],
    ["PostgreSQL by CockroachDB's migrations", "cockroachdb:"],
  ] as const) {
    const ask = migrated(serverUrl, scheme, async (url) => {
      const client = new Client({ connectionString: url });
      await client.connect();
      return { ask: async (sql) => (await client.query(sql)).rows, end: () => client.end() };
    });
    describeSchema(name, () => tablesOf(ask, postgresQueries));
    if (scheme === "postgresql:") {
      it("compares every text by its bytes", async () => {
        const others = await ask(
          `SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'public'
           AND data_type = 'text' AND table_name <> '_prisma_migrations' AND collation_name IS DISTINCT FROM 'C'`,
        );
        expect(others).toEqual([]);
      });
    }
  }
});

mariadb.describe("with a MariaDB server", (serverUrl) => {
  const ask = migrated(serverUrl, "mysql:", async (url) => {
    const connection = await createConnection({ ...mariadbOptions(url), bigIntAsNumber: true });
    return { ask: async (sql) => await connection.query(sql), end: () => connection.end() };
  });
  describeSchema("MariaDB", () => tablesOf(ask, mariadbQueries));

  it("compares every text by its bytes, blanks at the end included, and keeps all in InnoDB", async () => {
    const others = await ask(
      `SELECT table_name FROM information_schema.columns WHERE table_schema = database() AND collation_name IS NOT NULL
         AND table_name <> '_prisma_migrations' AND collation_name <> 'utf8mb4_nopad_bin'
       UNION SELECT table_name FROM information_schema.tables WHERE table_schema = database() AND engine <> 'InnoDB'`,
    );
    expect([...others]).toEqual([]);
  });
});

/** Asks a database of this suite's own, which a store has migrated. */
function migrated(
  serverUrl: string,
  scheme: string,
  connect: (url: string) => Promise<{ ask: Ask; end(): Promise<void> }>,
): Ask {
  let database: TestDatabase;
  let connection: Awaited<ReturnType<typeof connect>>;
  beforeAll(async () => {
    database = await createTestDatabase(serverUrl);
    await (await openTestStore({ url: storeUrlOf(database, scheme) })).close();
    connection = await connect(database.url);
  });
  afterAll(async () => {
    await connection?.end();
    await database?.drop();
  });
  return (sql) => connection.ask(sql);
}

/** Each gives rows of strings; those of columns, of keys and of indexes one a column, in order. */
interface Queries {
  /** `table`, `name`, `type`, `nullable` (YES or NO) */
  readonly columns: string;
  /** `table`, `name` (PRIMARY for the primary key), `unique` (1 or 0), `column` */
  readonly indexes: string;
  /** `table`, `column`, `other`, `to`, `onDelete`, `onUpdate` */
  readonly foreignKeys: string;
  readonly types: readonly (readonly [RegExp, Field["type"]])[];
}

async function tablesOf(ask: Ask, queries: Queries): Promise<readonly Table[]> {
  const ours = async (sql: string) =>
    (await ask(sql)).filter(({ table = "" }) => !["_prisma_migrations", "ichor_migration_lock"].includes(table));
  const columns = await ours(queries.columns);
  const indexes = await ours(queries.indexes);
  const keys = await ours(queries.foreignKeys);
  return [...new Set(columns.map(({ table = "" }) => table))].map((table) => {
    const here = indexes.filter((part) => part.table === table);
    const names = [...new Set(here.map(({ name = "" }) => name))].filter((name) => name !== "PRIMARY");
    const partsOf = (name: string) => here.filter((part) => part.name === name);
    const columnsOf = (name: string) => partsOf(name).map(({ column = "" }) => column);
    return {
      name: table,
      columns: columns
        .filter((column) => column.table === table)
        .map(({ name = "", type = "", nullable }) =>
          columnText(name, queries.types.find(([pattern]) => pattern.test(type))?.[1], nullable === "YES"),
        )
        .sort(),
      primaryKey: columnsOf("PRIMARY"),
      indexes: names.map((name) => indexText(name, Number(partsOf(name)[0]?.unique) === 1, columnsOf(name))).sort(),
      foreignKeys: keys
        .filter((key) => key.table === table)
        .map(({ column = "", other = "", to = "", onDelete = "", onUpdate = "" }) =>
          foreignKeyText({ column, table: other, to, onDelete, onUpdate }),
        )
        .sort(),
    };
  });
}

const postgresQueries: Queries = {
  columns: `SELECT table_name AS "table", column_name AS name, data_type AS type, is_nullable AS nullable
    FROM information_schema.columns WHERE table_schema = 'public' ORDER BY table_name, ordinal_position`,
  indexes: `SELECT t.relname AS "table", CASE WHEN i.indisprimary THEN 'PRIMARY' ELSE x.relname END AS name,
      i.indisunique::int AS unique, a.attname AS "column"
    FROM pg_index i JOIN pg_class t ON t.oid = i.indrelid JOIN pg_class x ON x.oid = i.indexrelid
    JOIN pg_namespace n ON n.oid = t.relnamespace AND n.nspname = 'public'
    CROSS JOIN LATERAL unnest(i.indkey) WITH ORDINALITY AS k(attnum, place)
    JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = k.attnum ORDER BY x.relname, k.place`,
  foreignKeys: `SELECT c.table_name AS "table", k.column_name AS "column", u.table_name AS other,
      u.column_name AS "to", r.delete_rule AS "onDelete", r.update_rule AS "onUpdate"
    FROM information_schema.table_constraints c
    JOIN information_schema.key_column_usage k USING (constraint_schema, constraint_name)
    JOIN information_schema.constraint_column_usage u USING (constraint_schema, constraint_name)
    JOIN information_schema.referential_constraints r USING (constraint_schema, constraint_name)
    WHERE c.constraint_type = 'FOREIGN KEY' AND c.constraint_schema = 'public'`,
  types: [
    [/^text$/, "String"],
    [/^bigint$/, "BigInt"],
    [/^integer$/, "Int"],
    [/^bytea$/, "Bytes"],
  ],
};

const mariadbQueries: Queries = {
  columns: `SELECT table_name AS "table", column_name AS name, column_type AS type, is_nullable AS nullable
    FROM information_schema.columns WHERE table_schema = database() ORDER BY table_name, ordinal_position`,
  indexes: `SELECT table_name AS "table", index_name AS name, 1 - non_unique AS "unique", column_name AS "column"
    FROM information_schema.statistics WHERE table_schema = database() ORDER BY index_name, seq_in_index`,
  foreignKeys: `SELECT k.table_name AS "table", k.column_name AS "column", k.referenced_table_name AS other,
      k.referenced_column_name AS "to", r.delete_rule AS "onDelete", r.update_rule AS "onUpdate"
    FROM information_schema.key_column_usage k
    JOIN information_schema.referential_constraints r
      ON r.constraint_schema = k.constraint_schema AND r.constraint_name = k.constraint_name AND r.table_name = k.table_name
    WHERE k.table_schema = database() AND k.referenced_table_name IS NOT NULL`,
  types: [
    [/^(mediumtext|varchar\(\d+\))$/, "String"],
    [/^bigint/, "BigInt"],
    [/^int/, "Int"],
    [/^(mediumblob|varbinary\(32\))$/, "Bytes"],
  ],
};
