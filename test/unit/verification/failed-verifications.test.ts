import { describe, expect, it } from "vitest";
import { LocalLimiter } from "../../../services/limits/local-limiter.ts";
import {
  FailedVerifications,
  failuresOfAddress,
  keysOfTurn,
} from "../../../services/verification/failed-verifications.ts";
import { gathered } from "../../../services/verification/gathered-reads.ts";
import { FakeClock } from "../../fakes/clock.ts";
import { turn as settle } from "../../fakes/read-by-hand.ts";

/** Turns that begin when the test says so. */
function failures(processes = 1) {
  const clock = new FakeClock();
  const known = new LocalLimiter(clock.now);
  let timers: (() => void)[] = [];
  const limits = new FailedVerifications({
    limiter: known,
    known,
    processes,
    storeId: "store",
    schedule: (callback) => timers.push(callback),
  });
  const tick = async () => {
    const due = timers;
    timers = [];
    for (const callback of due) callback();
    await settle();
  };
  const fail = (address: string, times: number) => {
    for (let i = 0; i < times; i++) limits.note(address);
  };
  return { limits, clock, tick, fail };
}

describe("failed verifications", () => {
  it("allow each of several processes its part", async () => {
    const { limits, fail } = failures(4);
    const part = Math.ceil(failuresOfAddress.burst / 4);
    fail("192.0.2.1", part - 1);
    expect(await limits.turn("192.0.2.1")).toBe(false);
    fail("192.0.2.1", 1);
    let waited: boolean | undefined;
    void limits.turn("192.0.2.1").then((did) => {
      waited = did;
    });
    expect(limits.waiting).toBe(1);
    expect(waited).toBeUndefined();
  });

  it("keep nobody waiting who had few", async () => {
    const { limits, fail } = failures();
    fail("192.0.2.1", failuresOfAddress.burst - 1);
    expect(await limits.turn("192.0.2.1")).toBe(false);
  });

  it("let who had too many wait for a turn, and no other address", async () => {
    const { limits, tick, fail } = failures();
    fail("192.0.2.1", failuresOfAddress.burst);
    const waiting = limits.turn("192.0.2.1");
    expect(await limits.turn("192.0.2.2")).toBe(false);
    expect(limits.waiting).toBe(1);
    await tick();
    expect(await waiting).toBe(true);
  });

  it("are forgiven with time", async () => {
    const { limits, clock, fail } = failures();
    fail("192.0.2.1", 1_000);
    clock.advance(1_000);
    expect(await limits.turn("192.0.2.1")).toBe(false);
  });

  it("count an IPv6 /64 as one client, and an IPv4-mapped address as IPv4", async () => {
    const { limits, fail } = failures();
    for (let i = 0; i < 60; i++) limits.note(`2001:db8::${i}`);
    void limits.turn("2001:db8::ffff:ffff");
    expect(limits.waiting).toBe(1);
    expect(await limits.turn("2001:db8:0:1::1")).toBe(false);
    fail("::ffff:192.0.2.1", 60);
    void limits.turn("192.0.2.1");
    expect(limits.waiting).toBe(2);
  });

  it("let everybody wait once all addresses together had too many", async () => {
    const { limits } = failures();
    for (let i = 0; i < 2_000; i++) limits.note(`10.0.${i >> 8}.${i & 255}`);
    void limits.turn("203.0.113.1");
    expect(limits.waiting).toBe(1);
  });

  it("let so many go on in a turn, in the order in which they came", async () => {
    const { limits, tick, fail } = failures();
    fail("a", 60);
    let gone = 0;
    const last = keysOfTurn + 1;
    for (let i = 1; i <= last; i++) void limits.turn("a").then(() => (gone = i));
    await tick();
    expect([gone, limits.waiting]).toEqual([keysOfTurn, 1]);
    await tick();
    expect([gone, limits.waiting]).toEqual([last, 0]);
  });
});

describe("reads that are gathered", () => {
  it("are one for all who ask at the same time, each id once, and give each its own", async () => {
    const asked: (readonly number[])[] = [];
    const read = gathered<number, string>(async (ids) => {
      asked.push(ids);
      return new Map(ids.filter((id) => id < 3).map((id) => [id, `v${id}`]));
    }, 3);
    expect(await Promise.all([1, 2, 1, 9, 2].map(read))).toEqual(["v1", "v2", "v1", undefined, "v2"]);
    expect(asked).toEqual([
      [1, 2],
      [9, 2],
    ]);
    expect(await read(2)).toBe("v2");
  });

  it("fail all together", async () => {
    const read = gathered<number, string>(async () => {
      throw new Error("gone");
    }, 9);
    expect((await Promise.allSettled([read(1), read(2)])).map(({ status }) => status)).toEqual([
      "rejected",
      "rejected",
    ]);
  });
});
