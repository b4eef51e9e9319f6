import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Mutex, MutexTimeout } from "../../../services/store/mutex.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

describe("Mutex", () => {
  it("lets one in at a time, in the order of asking", async () => {
    const mutex = new Mutex();
    const order: string[] = [];
    const first = await mutex.acquire(1_000);
    const second = mutex.acquire(1_000).then((release) => {
      order.push("second");
      return release;
    });
    const third = mutex.acquire(1_000).then((release) => {
      order.push("third");
      return release;
    });
    expect(order).toEqual([]);
    first();
    (await second)();
    (await third)();
    expect(order).toEqual(["second", "third"]);
    (await mutex.acquire(1_000))();
  });

  it("refuses who has waited too long, and passes over it", async () => {
    const mutex = new Mutex();
    const first = await mutex.acquire(1_000);
    const late = expect(mutex.acquire(50)).rejects.toBeInstanceOf(MutexTimeout);
    await vi.advanceTimersByTimeAsync(50);
    await late;
    first();
    const next = await mutex.acquire(50);
    await vi.advanceTimersByTimeAsync(1_000);
    next();
  });

  it("takes a second release for none", async () => {
    const mutex = new Mutex();
    const first = await mutex.acquire(1_000);
    first();
    await mutex.acquire(1_000);
    first();
    const refused = expect(mutex.acquire(10)).rejects.toBeInstanceOf(MutexTimeout);
    await vi.advanceTimersByTimeAsync(10);
    await refused;
  });
});
