import { describe, expect, it } from "vitest";
import {
  gapPollMs,
  pageSize,
  pollIntervalMs,
  staleAfterMs,
  Tail,
  type TailEvent,
} from "../../../services/changes/tail.ts";
import { FakeChangeLog } from "../../fakes/change-log.ts";

/** A tail on a fake log, with hands on its clock and timer. */
async function followed(log = new FakeChangeLog()) {
  const time = { wallMs: 1_000_000, monotonicMs: 0 };
  let timer: { callback: () => void; delayMs: number } | undefined;
  const messages: string[] = [];
  const say = (_fields: object, message: string) => void messages.push(message);
  const tail = new Tail({
    store: log,
    clock: { now: () => time.wallMs, monotonicMs: () => time.monotonicMs },
    schedule: (callback, delayMs) => {
      timer = { callback, delayMs };
      return () => {
        timer = undefined;
      };
    },
    log: { info: say, warn: say, error: say },
  });
  const events: TailEvent[] = [];
  tail.subscribe((event) => events.push(event));
  return {
    log,
    tail,
    events,
    messages,
    advance: (spanMs: number) => {
      time.wallMs += spanMs;
      time.monotonicMs += spanMs;
    },
    setWall: (wallMs: number) => {
      time.wallMs = wallMs;
    },
    get delayMs() {
      return timer?.delayMs;
    },
    /** Fires the timer and waits for the look to end. */
    async poll() {
      const due = timer;
      timer = undefined;
      due?.callback();
      await settled();
    },
  };
}

/** Lets every promise that is ready run. */
async function settled(): Promise<void> {
  for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve));
}

const revisionsOf = (events: readonly TailEvent[]) =>
  events.map((event) => (event.kind === "change" ? event.row.revision : event.reason));
const upTo = (last: bigint) => Array.from({ length: Number(last) }, (_, i) => BigInt(i + 1));

describe("Tail", () => {
  it("begins at the head and tells only what comes after", async () => {
    const t = await followed();
    t.log.commit();
    t.log.commit();
    await t.tail.start();
    expect(t.tail.revision).toBe(2n);
    t.log.commit();
    await t.poll();
    expect(revisionsOf(t.events)).toEqual([3n]);
  });

  it("begins where it is told to", async () => {
    const t = await followed();
    const from = t.log.current;
    for (let i = 0; i < 3; i++) t.log.commit();
    await t.tail.start(from);
    expect(revisionsOf(t.events)).toEqual([1n, 2n, 3n]);
  });

  it("looks at once after a commit of this process, and every second anyway", async () => {
    const t = await followed();
    await t.tail.start();
    expect(t.delayMs).toBe(pollIntervalMs);
    expect(pollIntervalMs).toBeLessThanOrEqual(1_000);
    t.log.commit();
    t.log.announce();
    await settled();
    expect(t.tail.revision).toBe(1n);
  });

  it("looks again when it was woken during a look", async () => {
    const t = await followed();
    await t.tail.start();
    t.log.announce();
    t.log.commit();
    t.log.announce();
    await settled();
    expect(t.tail.revision).toBe(1n);
  });

  it("reads many entries page by page, each once and in order", async () => {
    const t = await followed();
    const last = BigInt(pageSize * 3 + 7);
    const from = t.log.current;
    for (let i = 0n; i < last; i++) t.log.commit();
    await t.tail.start(from);
    expect(revisionsOf(t.events)).toEqual(upTo(last));
  });

  it("stops before a gap, looks again soon, and goes on once it is filled", async () => {
    const t = await followed();
    await t.tail.start();
    for (let i = 0; i < 3; i++) t.log.commit();
    t.log.hidden.add(2n);
    await t.poll();
    expect(revisionsOf(t.events)).toEqual([1n]);
    expect(t.delayMs).toBe(gapPollMs);
    t.log.hidden.clear();
    await t.poll();
    expect(revisionsOf(t.events)).toEqual([1n, 2n, 3n]);
  });

  it("takes an entry that only the head tells of for a gap", async () => {
    const t = await followed();
    await t.tail.start();
    t.advance(100);
    t.log.hidden.add(t.log.commit());
    await t.poll();
    expect(t.tail.ageMs()).toBe(100);
    expect(t.delayMs).toBe(gapPollMs);
  });

  it("is stale after a gap of five seconds, says so once, and is fresh again once the gap is filled", async () => {
    const t = await followed();
    await t.tail.start();
    t.log.hidden.add(t.log.commit());
    t.advance(staleAfterMs - 1);
    await t.poll();
    expect(t.tail.stale).toBe(false);
    t.advance(1);
    await t.poll();
    await t.poll();
    expect(t.tail.stale).toBe(true);
    expect(t.delayMs).toBe(pollIntervalMs);
    expect(t.messages.filter((message) => message.includes("stale"))).toHaveLength(1);
    t.log.hidden.clear();
    await t.poll();
    expect(t.tail.stale).toBe(false);
    expect(t.messages.at(-1)).toContain("followed again");
  });

  it("ages while the store gives no answer, and catches up after", async () => {
    const t = await followed();
    await t.tail.start();
    t.log.failure = new Error("gone");
    t.log.commit();
    t.advance(staleAfterMs);
    await t.poll();
    await t.poll();
    expect(t.tail.stale).toBe(true);
    expect(t.tail.revision).toBe(0n);
    expect(t.messages.filter((message) => message.includes("can't be read"))).toHaveLength(1);
    t.log.failure = undefined;
    await t.poll();
    expect(t.tail.revision).toBe(1n);
    expect(t.tail.ageMs()).toBe(0);
  });

  it("counts its age from the begin of the read, by a clock that nobody sets", async () => {
    const t = await followed();
    expect(t.tail.ageMs()).toBe(Number.POSITIVE_INFINITY);
    await t.tail.start();
    expect(t.tail.asOfMs).toBe(1_000_000);
    t.advance(700);
    t.setWall(5);
    expect(t.tail.ageMs()).toBe(700);
  });

  it.each([
    ["a missing last entry", (log: FakeChangeLog) => log.truncate(1n)],
    [
      "a shorter history that has grown again",
      (log: FakeChangeLog) => {
        log.truncate(1n);
        log.commit(7);
        log.commit(7);
        log.commit(7);
      },
    ],
    [
      "another last entry",
      (log: FakeChangeLog) => {
        log.truncate(2n);
        log.commit(7);
      },
    ],
  ])("reports %s as a fork and goes on from the new head", async (_name, diverge) => {
    const t = await followed();
    for (let i = 0; i < 3; i++) t.log.commit();
    await t.tail.start();
    diverge(t.log);
    await t.poll();
    expect(t.events).toEqual([{ kind: "reset", reason: "fork", head: t.log.current }]);
    expect(t.tail.revision).toBe(t.log.current.revision);
    t.log.commit(7);
    await t.poll();
    expect(revisionsOf(t.events)).toEqual(["fork", t.log.current.revision]);
  });

  it("takes an older epoch on other entries, as a restored copy has it, for a fork", async () => {
    const t = await followed();
    for (let i = 0; i < 3; i++) t.log.commit();
    await t.tail.start();
    t.log.truncate(2n);
    t.log.storeEpoch = "epoch-0";
    await t.poll();
    expect(t.events).toEqual([{ kind: "reset", reason: "fork", head: t.log.current }]);
  });

  it("takes no log that was compacted behind its back for a fork", async () => {
    const t = await followed();
    for (let i = 0; i < 3; i++) t.log.commit();
    await t.tail.start();
    for (let i = 0; i < 3; i++) t.log.commit();
    t.log.compacted = 5n;
    await t.poll();
    expect(t.events).toEqual([{ kind: "reset", reason: "compacted", head: t.log.current }]);
    t.log.commit();
    await t.poll();
    expect(revisionsOf(t.events)).toEqual(["compacted", 7n]);
  });

  it("reports another store epoch", async () => {
    const t = await followed();
    await t.tail.start();
    t.log.storeEpoch = "epoch-2";
    await t.poll();
    expect(revisionsOf(t.events)).toEqual(["store_epoch"]);
    expect(t.tail.storeEpoch).toBe("epoch-2");
  });

  it("resolves who waits for a revision only after every listener knows of it", async () => {
    const t = await followed();
    await t.tail.start();
    const order: string[] = [];
    t.tail.subscribe(() => order.push("listener"));
    t.log.commit();
    await t.tail.reached(1n, new AbortController().signal).then(() => order.push("waiter"));
    expect(order).toEqual(["listener", "waiter"]);
    await t.tail.reached(1n, new AbortController().signal);
  });

  it("refuses who waits when the signal aborts, or the tail stops", async () => {
    const t = await followed();
    await t.tail.start();
    const given = new AbortController();
    const waiting = t.tail.reached(9n, given.signal);
    given.abort(new Error("deadline"));
    await expect(waiting).rejects.toThrow("deadline");
    await expect(t.tail.reached(9n, given.signal)).rejects.toThrow("deadline");
    const other = t.tail.reached(9n, new AbortController().signal);
    await Promise.all([expect(other).rejects.toMatchObject({ reason: "DRAINING" }), t.tail.stop()]);
  });

  it("tells nobody after it was stopped, nor who has unsubscribed", async () => {
    const t = await followed();
    let heard = 0;
    const unsubscribe = t.tail.subscribe(() => heard++);
    await t.tail.start();
    unsubscribe();
    t.log.commit();
    await t.poll();
    await t.tail.stop();
    t.log.commit();
    t.log.announce();
    await settled();
    expect(heard).toBe(0);
    expect(revisionsOf(t.events)).toEqual([1n]);
  });

  it("goes on when a listener throws", async () => {
    const t = await followed();
    await t.tail.start();
    t.tail.subscribe(() => {
      throw new Error("bug");
    });
    t.log.commit();
    t.log.commit();
    await t.poll();
    expect(t.tail.revision).toBe(2n);
    expect(revisionsOf(t.events)).toEqual([1n, 2n]);
  });

  it.each(Array.from({ length: 20 }, (_, seed) => seed))(
    "loses and doubles nothing under gaps, failures and wake-ups (seed %i)",
    async (seed) => {
      const t = await followed();
      const random = mulberry32(seed);
      await t.tail.start();
      for (let step = 0; step < 300; step++) {
        const dice = random();
        if (dice < 0.4) {
          const revision = t.log.commit();
          if (random() < 0.4) t.log.hidden.add(revision);
        } else if (dice < 0.6) t.log.announce();
        else if (dice < 0.7) t.log.failure = random() < 0.5 ? new Error("no answer") : undefined;
        else if (dice < 0.8) t.log.hidden.clear();
        else await t.poll();
        t.advance(Math.floor(random() * 300));
        if (t.tail.ageMs() === 0) expect(t.tail.revision).toBe(t.log.current.revision);
      }
      t.log.failure = undefined;
      t.log.hidden.clear();
      t.log.announce();
      await settled();
      expect(revisionsOf(t.events)).toEqual(upTo(t.log.current.revision));
    },
  );
});

/** A small generator of numbers in [0, 1), the same for the same seed. */
function mulberry32(seed: number): () => number {
  let state = seed + 0x6d2b79f5;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
