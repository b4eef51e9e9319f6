import { createHash } from "node:crypto";
import { setImmediate as nextTurn } from "node:timers/promises";
import type { Table } from "./prisma-tables.ts";
import type { SqlSession } from "./sql-session.ts";

/** Rows of one read. Fewer of rows that are large, so that memory is bounded by `pageBytes` whatever they hold. */
const pageRowsMax = 500;
const pageRowsFirst = 50;
const pageBytes = 4 * 1024 * 1024;
/** Bounds of one INSERT: below what every server takes as a packet and as parameters. */
const insertBytes = 1024 * 1024;
const insertValuesMax = 10_000;

type Row = Readonly<Record<string, unknown>>;

/** A table's contents in two numbers. */
export interface TableDigest {
  readonly rows: number;
  /** SHA-256 over the rows in order of their keys, in hex; the same for the same contents in every database. */
  readonly digest: string;
}

/** Told how many rows were dealt with since the last time. Rejects to stop. */
export type OnRows = (rows: number) => Promise<void>;

export async function countRows(session: SqlSession, { name }: Table): Promise<number> {
  const [counted] = await session.rows<{ n: bigint | number }>(`SELECT COUNT(*) AS n FROM ${name}`);
  return Number(counted?.n ?? 0);
}

/**
 * Copies the rows of a table that come after the last one that the target has: pages in the order of the key, each of them
 * a transaction, so that what is there is always a beginning.
 */
export async function copyTable(source: SqlSession, target: SqlSession, table: Table, onRows: OnRows): Promise<void> {
  const [last] = await target.rows<Row>(
    `SELECT ${table.primaryKey.join(", ")} FROM ${table.name} ORDER BY ${keyOrder(table, "DESC")} LIMIT 1`,
  );
  for await (const page of pages(source, table, last)) {
    await target.atomically(async () => {
      for (const rows of insertable(page)) await target.rows(...insertOf(table, rows));
    });
    await onRows(page.length);
  }
}

/** Reads a whole table. */
export async function digestTable(session: SqlSession, table: Table, onRows: OnRows): Promise<TableDigest> {
  const hash = createHash("sha256");
  let rows = 0;
  for await (const page of pages(session, table, undefined)) {
    for (const row of page) hash.update(rowText(table, row));
    rows += page.length;
    await onRows(page.length);
  }
  return { rows, digest: hash.digest("hex") };
}

/** The rows after a key, in its order: every database's text columns are ordered by bytes. */
async function* pages(session: SqlSession, table: Table, after: Row | undefined): AsyncGenerator<readonly Row[]> {
  let size = pageRowsFirst;
  for (let last = after; ; ) {
    const [where, values] = last === undefined ? ["", []] : laterThan(session, table, last);
    const page = await session.rows<Row>(
      `SELECT ${table.columns.join(", ")} FROM ${table.name} ${where} ORDER BY ${keyOrder(table, "ASC")} LIMIT ${size}`,
      values,
    );
    if (page.length > 0) yield page;
    if (page.length < size) return;
    last = page.at(-1);
    const bytesPerRow = page.reduce((sum, row) => sum + bytesOf(row), 0) / page.length;
    size = Math.max(1, Math.min(pageRowsMax, Math.floor(pageBytes / bytesPerRow)));
    // SQLite answers without ever giving the event loop a turn.
    await nextTurn();
  }
}

function laterThan({ comparesRows }: SqlSession, { primaryKey }: Table, row: Row): [string, readonly unknown[]] {
  const values = primaryKey.map((column) => row[column]);
  if (comparesRows) {
    return [`WHERE (${primaryKey.join(", ")}) > (${primaryKey.map(() => "?").join(", ")})`, values];
  }
  const later = primaryKey.map((column, i) =>
    [...primaryKey.slice(0, i).map((before) => `${before} = ?`), `${column} > ?`].join(" AND "),
  );
  return [`WHERE (${later.join(") OR (")})`, primaryKey.flatMap((_, i) => values.slice(0, i + 1))];
}

function keyOrder({ primaryKey }: Table, direction: "ASC" | "DESC"): string {
  return primaryKey.map((column) => `${column} ${direction}`).join(", ");
}

function* insertable(page: readonly Row[]): Generator<readonly Row[]> {
  const rowsMax = Math.floor(insertValuesMax / Object.keys(page[0] ?? {}).length);
  let rows: Row[] = [];
  let bytes = 0;
  for (const row of page) {
    const size = bytesOf(row);
    if (rows.length > 0 && (rows.length === rowsMax || bytes + size > insertBytes)) {
      yield rows;
      [rows, bytes] = [[], 0];
    }
    rows.push(row);
    bytes += size;
  }
  yield rows;
}

function insertOf({ name, columns }: Table, rows: readonly Row[]): [string, readonly unknown[]] {
  const one = `(${columns.map(() => "?").join(", ")})`;
  return [
    `INSERT INTO ${name} (${columns.join(", ")}) VALUES ${rows.map(() => one).join(", ")}`,
    rows.flatMap((row) => columns.map((column) => row[column])),
  ];
}

function bytesOf(row: Row): number {
  return Object.values(row).reduce<number>(
    (sum, value) => sum + (typeof value === "string" || value instanceof Uint8Array ? value.length : 8),
    0,
  );
}

/** A row so that no other one has the same text: a JSON list of nulls and of texts that begin with their kind. */
function rowText({ columns }: Table, row: Row): string {
  return `${JSON.stringify(columns.map((column) => valueText(row[column])))}\n`;
}

function valueText(value: unknown): string | null {
  if (value === null) return null;
  if (typeof value === "string") return `t${value}`;
  if (typeof value === "bigint" || Number.isSafeInteger(value)) return `i${value}`;
  if (value instanceof Uint8Array) return `b${Buffer.from(value).toString("base64")}`;
  throw new TypeError(`a column holds neither text, integer nor bytes but ${typeof value}`);
}
