import type { LimitDecision, RateLimit } from "../core/rate-limit.ts";
import type { RateLimiter } from "../limits/limiter-port.ts";

/** What a worker asks its primary. */
export interface LimitQuestion {
  readonly id: string;
  readonly limits: readonly RateLimit[];
  readonly cost: number;
}

/**
 * Counts in the primary, so that a limit holds for all workers together. When `ask` gives undefined, which is that the
 * primary doesn't answer, `alone` decides: not being able to count must not keep anyone from being answered.
 */
export function familyLimiter(
  ask: (question: LimitQuestion) => Promise<LimitDecision | undefined>,
  alone: RateLimiter,
): RateLimiter {
  return {
    take: async (id, limits, cost) => (await ask({ id, limits, cost })) ?? alone.take(id, limits, cost),
  };
}
