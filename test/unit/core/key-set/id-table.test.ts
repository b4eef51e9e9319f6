import { describe, expect, it } from "vitest";
import { IdTable } from "../../../../services/core/key-set/id-table.ts";
import { seededRandom } from "../../../fakes/random.ts";

const idOf = (n: number): Uint8Array => seededRandom(`id ${n}`)(16);
const nameOf = (id: Uint8Array): string => Buffer.from(id).toString("hex");

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
    const seen = new Map<string, number>();
    table.forEach((id, value) => void seen.set(nameOf(id), value));
    expect(seen).toEqual(model);
  });

  it("finds ids that lie anywhere in a longer array", () => {
    const table = new IdTable(1);
    const packed = Buffer.concat([idOf(1), idOf(2), idOf(3)]);
    table.set(packed, 5, 16);
    expect(table.get(idOf(2))).toBe(5);
    expect([table.get(packed), table.get(packed, 16), table.get(packed, 32)]).toEqual([0, 5, 0]);
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
