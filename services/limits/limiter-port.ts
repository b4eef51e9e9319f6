import type { LimitDecision, RateLimit } from "../core/rate-limit.ts";

/** Counts uses as far as this process knows, at once. */
export interface InstantLimiter {
  /** As `RateLimiter.take`. */
  take(id: string, limits: readonly RateLimit[], cost: number): LimitDecision;
}

/** Counts uses under rate limits. */
export interface RateLimiter {
  /**
   * Takes `cost` (a whole number, 0 or more) of every limit of `id`, or of none if one of them has too little left. 0 takes
   * nothing and tells what is left. A promise only where others must be asked; it never rejects, since not being able to
   * count must not keep anyone from being answered.
   */
  take(id: string, limits: readonly RateLimit[], cost: number): LimitDecision | Promise<LimitDecision>;
}
