import { BoundedLru } from "../core/bounded-lru.ts";
import { hasRoom, type LimitDecision, levelAfter, limitDecision, type RateLimit } from "../core/rate-limit.ts";
import type { RateLimiter } from "./limiter-port.ts";

/** Of how many ids uses are remembered, about 500 bytes each: the ids that weren't used for longest are forgotten first. */
export const limitedIdsMax = 100_000;

/** What was used under some limits as of one time; in the order of the limits. */
interface Known {
  timeMs: number;
  limits: readonly RateLimit[];
  levels: readonly number[];
}

/** Rate limits of this process alone. Decides at once. */
export class LocalLimiter implements RateLimiter {
  readonly #now: () => number;
  readonly #known: BoundedLru<string, Known>;

  /** @param now ms since the epoch */
  constructor(now: () => number, idsMax = limitedIdsMax) {
    this.#now = now;
    this.#known = new BoundedLru(idsMax);
  }

  take(id: string, limits: readonly RateLimit[], cost: number): LimitDecision {
    const nowMs = this.#now();
    const before = this.levels(id, limits, nowMs);
    const allowed = hasRoom(limits, before, cost);
    if (!allowed || cost === 0) return limitDecision(limits, before, cost, allowed, nowMs);
    const after = before.map((level) => level + cost);
    this.learn(id, limits, after, nowMs);
    return limitDecision(limits, after, cost, allowed, nowMs);
  }

  /** Gives the level of each limit, as far as it is known here; unknown ones were never used. */
  levels(id: string, limits: readonly RateLimit[], nowMs: number): readonly number[] {
    const known = this.#known.get(id);
    if (known === undefined) return limits.map(() => 0);
    const elapsedMs = nowMs - known.timeMs;
    return limits.map((limit, i) => levelAfter(limit, levelBefore(known, limit, i), elapsedMs));
  }

  /** Takes over what is known of an id from now on. */
  learn(id: string, limits: readonly RateLimit[], levels: readonly number[], timeMs: number): void {
    const known = this.#known.get(id);
    if (known === undefined) this.#known.set(id, { timeMs, limits, levels }, 1);
    else {
      known.timeMs = timeMs;
      known.limits = limits;
      known.levels = levels;
    }
  }
}

/** Most often the limits are those of before; else a limit is the one of its name. */
function levelBefore({ limits, levels }: Known, limit: RateLimit, at: number): number {
  const i = limits[at]?.name === limit.name ? at : limits.findIndex(({ name }) => name === limit.name);
  return levels[i] ?? 0;
}
