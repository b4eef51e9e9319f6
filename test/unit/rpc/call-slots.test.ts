import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { IchorError } from "../../../services/core/errors.ts";
import { CallSlots } from "../../../services/rpc/call-slots.ts";

/** Calls under way that end when the test says so. */
function busy(max: number) {
  const slots = new CallSlots(max);
  const ends: (() => Promise<void>)[] = [];
  return {
    slots,
    /** Begins a call; false: it was refused. */
    begin(holder: string): boolean {
      try {
        slots.requireRoom(holder);
      } catch (error) {
        expect(error).toMatchObject({ reason: "TOO_MANY_CALLS", retryAfterMs: 500 });
        return false;
      }
      let end = () => {};
      const work = new Promise<void>((resolve) => {
        end = resolve;
      });
      const ended = slots.hold(holder, work);
      ends.push(() => {
        end();
        return ended;
      });
      return true;
    },
    async endAll() {
      await Promise.all(ends.map((end) => end()));
    },
  };
}

/** How many of so many attempts are let in. */
const letIn = ({ begin }: ReturnType<typeof busy>, holder: string, times: number) =>
  Array.from({ length: times }, () => begin(holder)).filter(Boolean).length;

describe("the slots of calls", () => {
  it("give one caller alone half of them, and leave the rest to others", () => {
    const calls = busy(100);
    expect(letIn(calls, "greedy", 1_000)).toBe(50);
    expect(letIn(calls, "other", 1_000)).toBe(25);
    expect(letIn(calls, "late", 1)).toBe(1);
  });

  it("are free again when calls end, well or not", async () => {
    const calls = busy(4);
    const failing = calls.slots.hold("a", Promise.reject(new IchorError("INTERNAL", "bug")));
    await expect(failing).rejects.toThrow("bug");
    expect(letIn(calls, "a", 9)).toBe(2);
    await calls.endAll();
    expect(calls.slots.taken).toBe(0);
    expect(letIn(calls, "a", 9)).toBe(2);
  });

  it("are never more than there are, and there is always one for who has none while others have two or more each", () => {
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 50 }), fc.array(fc.nat({ max: 5 }), { maxLength: 300 }), (max, asked) => {
        const calls = busy(max);
        const held = new Map<number, number>();
        for (const caller of asked) if (calls.begin(`key_${caller}`)) held.set(caller, (held.get(caller) ?? 0) + 1);
        expect(calls.slots.taken).toBeLessThanOrEqual(max);
        for (const count of held.values()) expect(count).toBeLessThanOrEqual(Math.ceil(max / 2));
        // Whoever got a second slot left one free.
        if ([...held.values()].some((count) => count > 1) && held.size < max / 2) expect(calls.begin("new")).toBe(true);
      }),
      { seed: 1, numRuns: 300 },
    );
  });
});
