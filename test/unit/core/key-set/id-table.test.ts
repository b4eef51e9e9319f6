import { describe, expect, it } from "vitest";
import { IdTable } from "../../../../services/core/key-set/id-table.ts";
import { seededRandom } from "../../../fakes/random.ts";

const idOf = (n: number): Uint8Array => seededRandom(`id ${n}`)(16);
const nameOf = (id: Uint8Array): string => Buffer.from(id).toString("hex");

function entriesOf(table: IdTable, most: number): Map<string, number> {
  const seen = new Map<string, number>();
  for (let place: number | undefined = 0; place !== undefined; ) {
    const { ids, values, next } = table.entriesFrom(place, most);
    expect(values.length).toBeLessThanOrEqual(most);
    values.forEach((value, i) => void seen.set(nameOf(ids.subarray(i * 16, i * 16 + 16)), value));
    place = next;
  }
  return seen;
}

describe("a table of ids", () => {
  it("agrees with a Map through a long history of sets and removals", () => {
    const table = new IdTable(7);
    const model = new Map<string, number>();
    const random = seededRandom("history");
    for (let step = 0; step < 20_000; step++) {
      const [a = 0, b = 0, c = 0] = random(3);
      const id = idOf((a * 256 + b) % 600);
      const value = c % 3 === 0 ? 0 : c * 0x0100_0000 + 1;
      expect(table.set(id, value)).toBe(model.get(nameOf(id)) ?? 0);
      if (value === 0) model.delete(nameOf(id));
      else model.set(nameOf(id), value);
    }
    expect(table.size).toBe(model.size);
    for (let n = 0; n < 700; n++) expect(table.get(idOf(n))).toBe(model.get(nameOf(idOf(n))) ?? 0);
    for (const most of [1, 7, 1_000]) expect(entriesOf(table, most)).toEqual(model);
  });

  it("finds ids that lie anywhere in a longer array", () => {
    const table = new IdTable(1);
    const packed = Buffer.concat([idOf(1), idOf(2), idOf(3)]);
    table.set(packed, 5, 16);
    expect(table.get(idOf(2))).toBe(5);
    expect([table.get(packed), table.get(packed, 16), table.get(packed, 32)]).toEqual([0, 5, 0]);
  });

  it("goes another way than its copy", () => {
    const table = new IdTable(3);
    for (let n = 0; n < 100; n++) table.set(idOf(n), n + 1);
    const copy = table.copy();
    for (let n = 0; n < 50; n++) table.set(idOf(n), 0);
    for (let n = 100; n < 200; n++) copy.set(idOf(n), n + 1);
    expect([table.size, copy.size]).toEqual([50, 200]);
    for (let n = 0; n < 200; n++) expect(copy.get(idOf(n))).toBe(n + 1);
  });

  it("holds an id of zeros, and every number of 32 bits but 0", () => {
    const table = new IdTable(1);
    table.set(new Uint8Array(16), 0xffff_ffff);
    expect(table.get(new Uint8Array(16))).toBe(0xffff_ffff);
    expect(table.get(idOf(1))).toBe(0);
    for (const value of [-1, 2 ** 32, 0.5, Number.NaN]) expect(() => table.set(idOf(1), value)).toThrow(TypeError);
  });

  it("takes 48 MiB at most for a million ids, and no more on the way there", () => {
    const table = new IdTable(1, 1_000_000);
    expect(table.byteLength).toBeLessThanOrEqual(48 * 1024 * 1024);
    const before = table.byteLength;
    const id = Buffer.alloc(16);
    for (let n = 0; n < 1_000_000; n++) {
      id.writeUInt32BE(n, 12);
      id.writeUInt32BE(Math.imul(n, 0x9e37_79b1) >>> 0, 8);
      table.set(id, 1);
    }
    expect([table.size, table.byteLength]).toEqual([1_000_000, before]);
  });
});
