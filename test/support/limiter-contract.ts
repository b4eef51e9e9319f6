import { describe, expect, it } from "vitest";
import type { RateLimit } from "../../services/core/rate-limit.ts";
import type { RateLimiter } from "../../services/limits/limiter-port.ts";

/** A limiter, and how its time is moved. */
export interface LimiterUnderTest {
  readonly limiter: RateLimiter;
  /** Lets at least so much time pass. */
  pass(spanMs: number): Promise<void>;
  now(): number;
}

let count = 0;
/** An id that nobody used before. */
export const freshId = () => `key_${process.pid}_${Date.now()}_${count++}`;

export function limit(fields: Partial<RateLimit> = {}): RateLimit {
  const { limit: uses = 5 } = fields;
  return { name: "api", limit: uses, periodMs: 31 * 86_400_000, burst: uses, strict: false, ...fields };
}

/** What every limiter does, alone or with others. Periods are long, so that no use comes back by itself. */
export function limiterContract(title: string, make: () => LimiterUnderTest): void {
  describe(title, () => {
    it("allows the burst at once, and nothing more", async () => {
      const { limiter } = make();
      const id = freshId();
      for (const left of [4, 3, 2, 1, 0]) {
        const { allowed, states } = await limiter.take(id, [limit()], 1);
        expect(allowed).toBe(true);
        expect(states).toMatchObject([{ name: "api", limit: 5, remaining: left }]);
      }
      expect(await limiter.take(id, [limit()], 1)).toMatchObject({ allowed: false, states: [{ remaining: 0 }] });
    });

    it("lets uses come back evenly, up to the burst", async () => {
      const { limiter, pass } = make();
      const id = freshId();
      const quick = limit({ limit: 1_000, periodMs: 1_000, burst: 2 });
      expect((await limiter.take(id, [quick], 2)).allowed).toBe(true);
      await pass(50);
      expect(await limiter.take(id, [quick], 0)).toMatchObject({ states: [{ remaining: 2 }] });
    });

    it("takes a cost of several uses, or nothing of it", async () => {
      const { limiter } = make();
      const id = freshId();
      expect(await limiter.take(id, [limit()], 3)).toMatchObject({ allowed: true, states: [{ remaining: 2 }] });
      expect(await limiter.take(id, [limit()], 3)).toMatchObject({ allowed: false, states: [{ remaining: 2 }] });
      expect(await limiter.take(id, [limit()], 2)).toMatchObject({ allowed: true, states: [{ remaining: 0 }] });
    });

    it("takes nothing of any limit if one refuses", async () => {
      const { limiter } = make();
      const id = freshId();
      const both = [limit({ name: "wide", limit: 100 }), limit({ name: "narrow", limit: 1 })];
      expect((await limiter.take(id, both, 1)).allowed).toBe(true);
      for (let i = 0; i < 3; i++) {
        const { allowed, states } = await limiter.take(id, both, 1);
        expect(allowed).toBe(false);
        expect(states.map(({ remaining }) => remaining)).toEqual([99, 0]);
        expect(states.map(({ retryTimeMs }) => retryTimeMs !== undefined)).toEqual([false, true]);
      }
    });

    it("takes nothing for a cost of 0, and tells what is left even of what is used up", async () => {
      const { limiter } = make();
      const id = freshId();
      await limiter.take(id, [limit()], 5);
      for (let i = 0; i < 3; i++)
        expect(await limiter.take(id, [limit()], 0)).toMatchObject({ allowed: true, states: [{ remaining: 0 }] });
    });

    it("never allows more than the burst at once, and says no time to try it again", async () => {
      const { limiter } = make();
      const { allowed, states } = await limiter.take(freshId(), [limit()], 6);
      expect(allowed).toBe(false);
      expect(states[0]).not.toHaveProperty("retryTimeMs");
      expect(states[0]).toMatchObject({ remaining: 5 });
    });

    it("tells when the limit is whole again, and when there is room for the cost", async () => {
      const { limiter, now } = make();
      const id = freshId();
      const hourly = limit({ limit: 6, periodMs: 3_600_000 });
      await limiter.take(id, [hourly], 6);
      const { states } = await limiter.take(id, [hourly], 2);
      expect(Math.abs((states[0]?.resetTimeMs ?? 0) - now() - 3_600_000)).toBeLessThan(2_000);
      expect(Math.abs((states[0]?.retryTimeMs ?? 0) - now() - 1_200_000)).toBeLessThan(2_000);
    });

    it("keeps what was used when the policy changes", async () => {
      const { limiter } = make();
      const id = freshId();
      await limiter.take(id, [limit()], 4);
      expect(await limiter.take(id, [limit({ limit: 3 })], 0)).toMatchObject({ states: [{ remaining: 0 }] });
      expect(await limiter.take(id, [limit({ limit: 10 })], 1)).toMatchObject({ states: [{ remaining: 5 }] });
    });

    it("keeps ids and names apart", async () => {
      const { limiter } = make();
      const id = freshId();
      await limiter.take(id, [limit()], 5);
      expect((await limiter.take(id, [limit({ name: "other" })], 5)).allowed).toBe(true);
      expect((await limiter.take(freshId(), [limit()], 5)).allowed).toBe(true);
    });

    it("allows exactly the burst to many who ask at the same time", async () => {
      const { limiter } = make();
      const id = freshId();
      const both = [limit({ limit: 20 }), limit({ name: "other", limit: 40 })];
      const decisions = await Promise.all(Array.from({ length: 100 }, () => limiter.take(id, both, 1)));
      expect(decisions.filter(({ allowed }) => allowed)).toHaveLength(20);
      expect(await limiter.take(id, both, 0)).toMatchObject({ states: [{ remaining: 0 }, { remaining: 20 }] });
    });

    it("counts to 10^9 without losing a use", async () => {
      const { limiter } = make();
      const id = freshId();
      const huge = limit({ limit: 1_000_000_000 });
      await limiter.take(id, [huge], 999_999_999);
      expect((await limiter.take(id, [huge], 1)).allowed).toBe(true);
      expect((await limiter.take(id, [huge], 400)).allowed).toBe(false);
    });
  });
}
