import type { Field, Model } from "./models.ts";

type Value = string | number | bigint | Buffer | null;
type Insert = (sql: string, values: readonly Value[]) => Promise<unknown>;

/** Texts, numbers and bytes that are easily spoilt on their way. */
const texts = [
  "",
  "größte 🔑 'quoted' \\ % \u2028",
  "blank at the end ",
  "Case",
  "case",
  "\t\n",
  "漢字",
  '{"a":[1,"ü"]}',
];
const integers = [0n, -1n, 9_223_372_036_854_775_807n, -9_223_372_036_854_775_808n, 9_007_199_254_740_993n];
const blobs = [Buffer.alloc(0), Buffer.from([0, 255, 0, 39, 92, 10]), Buffer.alloc(5_000, 7)];

/**
 * Inserts rows into every table of the models but the head row's, whatever tables there come to be: with all kinds of
 * values, nulls where they may be, and references that hold. Gives how many.
 */
export async function fillTables(models: readonly Model[], count: number, insert: Insert): Promise<number> {
  let inserted = 0;
  for (const model of models.filter(({ table }) => table !== "store_head" && table !== "server_presence")) {
    const columns = model.fields.map(({ column }) => column).join(", ");
    const marks = model.fields.map(() => "?").join(", ");
    for (let row = 0; row < count; row++) {
      const values = model.fields.map((field) => columnValue(model, field, row));
      await insert(`INSERT INTO ${model.table} (${columns}) VALUES (${marks})`, values);
      inserted++;
    }
  }
  return inserted;
}

function columnValue({ table, primaryKey, indexes, foreignKeys }: Model, field: Field, row: number): Value {
  const { column, type, optional } = field;
  const target = foreignKeys.find((key) => key.column === column)?.table;
  if (target !== undefined) return keyText(target, "id", row);
  const unique = primaryKey.includes(column) || indexes.some((index) => index.unique && index.columns.includes(column));
  if (unique && type === "String") return keyText(table, column, row);
  if (unique && type === "Bytes") return Buffer.from(keyText(table, column, row));
  if (unique) return type === "Int" ? row : BigInt(row) * 1_000_000_000_000n;
  if (optional && row % 3 === 0) return null;
  // VARCHARs of MySQL are short, its INT has 32 bits.
  if (type === "String") return texts[(row + column.length) % texts.length] as string;
  if (type === "Int") return row % 2 === 0 ? 2_147_483_647 : -row;
  if (type === "BigInt") return integers[(row + column.length) % integers.length] as bigint;
  return blobs[(row + column.length) % blobs.length] as Buffer;
}

/** In an order that is none of the usual ones but that of bytes. */
function keyText(table: string, column: string, row: number): string {
  const first = ["a", "B", "_", "é", "Z", "😀", "~"][row % 7];
  return `${first}${table.slice(0, 8)}${column.slice(0, 8)}${row}`;
}
