import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { LocalLimiter } from "../../../services/limits/local-limiter.ts";
import { FakeClock } from "../../fakes/clock.ts";
import { freshId, limit, limiterContract } from "../../support/limiter-contract.ts";

function localLimiter(idsMax?: number) {
  const clock = new FakeClock();
  const pass = async (spanMs: number) => clock.advance(spanMs);
  return { limiter: new LocalLimiter(clock.now, idsMax), clock, pass, now: clock.now };
}

limiterContract("the limiter of one process", localLimiter);

describe("the limiter of one process", () => {
  it("gives back the use that is due, not a millisecond before", () => {
    const { limiter, clock } = localLimiter();
    const hourly = limit({ limit: 6, periodMs: 3_600_000 });
    limiter.take("a", [hourly], 6);
    clock.advance(599_999);
    expect(limiter.take("a", [hourly], 1).allowed).toBe(false);
    clock.advance(1);
    expect(limiter.take("a", [hourly], 1).allowed).toBe(true);
    expect(limiter.take("a", [hourly], 1).allowed).toBe(false);
  });

  it("gives nothing back to a clock that goes back", () => {
    const { limiter, clock } = localLimiter();
    limiter.take("a", [limit()], 5);
    clock.advance(-86_400_000);
    expect(limiter.take("a", [limit()], 1).allowed).toBe(false);
  });

  it("tells no time beyond the year 9999", () => {
    const slow = limit({ limit: 1, burst: 1_000_000_000 });
    const { limiter } = localLimiter();
    expect(limiter.take("a", [slow], 1_000_000_000).states[0]?.resetTimeMs).toBe(253_402_300_799_999);
  });

  it("forgets the ids that weren't used for longest, so that it never holds more than so many", () => {
    const { limiter } = localLimiter(2);
    limiter.take("a", [limit()], 5);
    limiter.take("b", [limit()], 5);
    limiter.take("a", [limit()], 1);
    limiter.take("c", [limit()], 5);
    expect(limiter.take("a", [limit()], 1).allowed).toBe(false);
    expect(limiter.take("b", [limit()], 1).allowed).toBe(true);
  });

  it("allows at most burst + limit in any span of a period, whenever and whatever is asked, and that much if it is asked for", () => {
    const policy = fc.record({
      limit: fc.integer({ min: 1, max: 50 }),
      burst: fc.integer({ min: 1, max: 50 }),
      periodMs: fc.integer({ min: 1_000, max: 100_000 }),
    });
    const steps = fc.array(
      fc.record({ waitMs: fc.integer({ min: 0, max: 5_000 }), cost: fc.integer({ min: 1, max: 9 }) }),
      {
        maxLength: 60,
      },
    );
    fc.assert(
      fc.property(policy, steps, (fields, asked) => {
        const { limiter, clock } = localLimiter();
        const id = freshId();
        const only = limit(fields);
        const taken: { atMs: number; cost: number }[] = [];
        // A model: what has been taken, less what has come back since then, one use after the other.
        let level = 0;
        let atMs = clock.now();
        for (const { waitMs, cost } of asked) {
          clock.advance(waitMs);
          level = Math.max(0, level - ((clock.now() - atMs) * only.limit) / only.periodMs);
          atMs = clock.now();
          const { allowed } = limiter.take(id, [only], cost);
          // Rounding may go either way within a millionth of a use.
          if (Math.abs(level + cost - only.burst) > 1e-4) expect(allowed).toBe(level + cost < only.burst);
          if (!allowed) continue;
          level += cost;
          taken.push({ atMs, cost });
        }
        for (const { atMs: fromMs } of taken) {
          const inSpan = taken.filter((one) => one.atMs >= fromMs && one.atMs < fromMs + only.periodMs);
          expect(inSpan.reduce((sum, { cost }) => sum + cost, 0)).toBeLessThanOrEqual(only.burst + only.limit);
        }
      }),
      { seed: 1, numRuns: 300 },
    );
  });
});
