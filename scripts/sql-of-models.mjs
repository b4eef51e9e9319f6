// Writes the SQL that makes the tables of prisma/models.prisma in a server database's dialect, since no tool does so for
// all of them without a download.
//
//   node scripts/sql-of-models.mjs mysql SigningKey   prints the part of a new migration that makes a table
//
// A migration is never edited: a change is a new one, for every provider. That what stands in prisma/migrations/ makes the
// tables of the models is for test/contract/*-schema.test.ts to say.
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { readModels } from "./models.mjs";

const root = dirname(dirname(fileURLToPath(import.meta.url)));

/** Longest texts that stand in an index, in characters; 64 where nothing is said. MySQL allows an index 768 in all. */
const indexedLengths = { scope: 512, name: 255, ownerId: 255, value: 255, audience: 255, target: 255 };

const dialects = {
  postgresql: {
    note: `-- COLLATE "C": texts are compared by bytes, whatever the database's own order is.`,
    types: { String: 'TEXT COLLATE "C"', BigInt: "BIGINT", Int: "INTEGER", Bytes: "BYTEA" },
    quote: '"',
    options: "",
  },
  cockroachdb: {
    note: "-- Texts are compared by bytes; every name of a type is PostgreSQL's too.",
    types: { String: "TEXT", BigInt: "INT8", Int: "INT4", Bytes: "BYTEA" },
    quote: '"',
    options: "",
  },
  mysql: {
    note: `-- Texts are compared by bytes, blanks at their end included. That order has a name of its own on each server, so it
-- stands in comments that only one of them reads.`,
    types: { String: "MEDIUMTEXT", BigInt: "BIGINT", Int: "INTEGER", Bytes: "MEDIUMBLOB" },
    indexed: (field) =>
      ({ String: `VARCHAR(${indexedLengths[field.name] ?? 64})`, Bytes: "VARBINARY(32)" })[field.type],
    quote: "`",
    options:
      " ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 /*M! COLLATE = utf8mb4_nopad_bin */ /*!80017 COLLATE = utf8mb4_0900_bin */",
  },
};

const [provider, ...names] = process.argv.slice(2);
const dialect = dialects[provider];
if (dialect === undefined) {
  console.error(`usage: sql-of-models.mjs ${Object.keys(dialects).join(" | ")} [Model…]`);
  process.exitCode = 2;
} else {
  const models = readModels(join(root, "prisma/models.prisma"));
  const chosen = models.filter(({ name }) => names.length === 0 || names.includes(name));
  process.stdout.write(`${dialect.note}\n\n${chosen.map(table).join("\n")}`);
}

function table(model) {
  const quoted = (name) => `${dialect.quote}${name}${dialect.quote}`;
  const list = (columns) => columns.map(quoted).join(", ");
  const inIndex = new Set([model.primaryKey, ...model.indexes.map(({ columns }) => columns)].flat());
  const typeOf = (field) => (inIndex.has(field.column) && dialect.indexed?.(field)) || dialect.types[field.type];
  const rows = [
    ...model.fields.map((field) => `${quoted(field.column)} ${typeOf(field)}${field.optional ? "" : " NOT NULL"}`),
    `PRIMARY KEY (${list(model.primaryKey)})`,
    ...model.foreignKeys.map(
      ({ column, table: other, to, onDelete, onUpdate }) =>
        `FOREIGN KEY (${quoted(column)}) REFERENCES ${quoted(other)} (${quoted(to)}) ON DELETE ${onDelete} ON UPDATE ${onUpdate}`,
    ),
  ];
  const indexes = model.indexes.map(
    ({ name, unique, columns }) =>
      `CREATE ${unique ? "UNIQUE " : ""}INDEX ${quoted(name)} ON ${quoted(model.table)} (${list(columns)});\n`,
  );
  return `CREATE TABLE ${quoted(model.table)} (\n    ${rows.join(",\n    ")}\n)${dialect.options};\n${indexes.join("")}`;
}
