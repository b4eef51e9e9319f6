import { expect, it } from "vitest";
import { GroupedWrites } from "../../../services/changes/grouped-writes.ts";

/** A write that ends when the test says so. */
function writesByHand() {
  const under: { readonly items: readonly number[]; readonly end: (error?: Error) => void }[] = [];
  const write = (items: readonly number[]) =>
    new Promise<void>((resolve, reject) => {
      under.push({ items: [...items], end: (error) => (error ? reject(error) : resolve()) });
    });
  return { under, write };
}

it("writes what comes during a write in one more, never two at a time", async () => {
  const { under, write } = writesByHand();
  const grouped = new GroupedWrites(write, 1_000);
  const first = grouped.add(0);
  await expect.poll(() => under.length).toBe(1);
  const rest = Array.from({ length: 999 }, (_, i) => grouped.add(i + 1));
  expect(under).toHaveLength(1);
  under[0]?.end();
  await first;
  await expect.poll(() => under.length).toBe(2);
  expect(under[1]?.items).toEqual(Array.from({ length: 999 }, (_, i) => i + 1));
  under[1]?.end();
  await Promise.all(rest);
});

it("tells a failure to those whom it concerns, and goes on", async () => {
  const { under, write } = writesByHand();
  const grouped = new GroupedWrites(write, 2);
  const [a, b, c] = [grouped.add(1), grouped.add(2), grouped.add(3)];
  await expect.poll(() => under.length).toBe(1);
  under[0]?.end(new Error("no"));
  await expect(a).rejects.toThrow("no");
  await expect(b).rejects.toThrow("no");
  await expect.poll(() => under.length).toBe(2);
  expect(under[1]?.items).toEqual([3]);
  under[1]?.end();
  await c;
});
