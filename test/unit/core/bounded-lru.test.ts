import { describe, expect, it } from "vitest";
import { BoundedLru } from "../../../services/core/bounded-lru.ts";

describe("BoundedLru", () => {
  it("lets the least recently used entries go first", () => {
    const lru = new BoundedLru<string, number>(3);
    for (const [i, key] of ["a", "b", "c"].entries()) lru.set(key, i, 1);
    expect(lru.get("a")).toBe(0);
    lru.set("d", 3, 1);
    expect(["a", "b", "c", "d"].map((key) => lru.get(key))).toEqual([0, undefined, 2, 3]);
    expect(lru.count).toBe(3);
  });

  it("counts sizes, those of replaced and deleted entries too", () => {
    const lru = new BoundedLru<string, number>(10);
    lru.set("a", 1, 4);
    lru.set("a", 2, 6);
    lru.set("b", 3, 4);
    expect([lru.get("a"), lru.get("b"), lru.size]).toEqual([2, 3, 10]);
    lru.delete("a");
    lru.delete("a");
    expect([lru.get("a"), lru.size]).toEqual([undefined, 4]);
    lru.clear();
    expect([lru.get("b"), lru.size, lru.count]).toEqual([undefined, 0, 0]);
    lru.set("c", 4, 10);
    expect(lru.get("c")).toBe(4);
  });

  it("doesn't keep what is larger than all that it may hold, nor what that would replace", () => {
    const lru = new BoundedLru<string, number>(10);
    lru.set("a", 1, 4);
    lru.set("a", 2, 11);
    expect([lru.get("a"), lru.size]).toEqual([undefined, 0]);
  });

  it("stays in order whatever is used, replaced and deleted", () => {
    const lru = new BoundedLru<number, number>(8);
    let expected: number[] = [];
    let seed = 1;
    for (let step = 0; step < 5_000; step++) {
      seed = (seed * 48_271) % 2_147_483_647;
      const key = seed % 13;
      const rest = expected.filter((other) => other !== key);
      if (seed % 3 === 0) {
        lru.delete(key);
        expected = rest;
      } else if (seed % 3 === 1) {
        lru.set(key, key, 1);
        expected = [...rest, key].slice(-8);
      } else {
        const known = expected.includes(key);
        expect(lru.get(key)).toBe(known ? key : undefined);
        if (known) expected = [...rest, key];
      }
      expect(lru.count).toBe(expected.length);
    }
  });
});
