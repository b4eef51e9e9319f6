import { type LimitDecision, limitDecision, type RateLimit } from "../core/rate-limit.ts";
import type { RateLimiter } from "./limiter-port.ts";
import type { LocalLimiter } from "./local-limiter.ts";
import type { SharedLevels } from "./shared-levels.ts";

/**
 * Rate limits of all servers together, as long as what they share answers; else of this process alone. What was shared is
 * remembered here, so that a server that is left alone goes on from there; and told as a floor, so that a shared store
 * that lost everything isn't one where nothing was used.
 */
export class SharedLimiter implements RateLimiter {
  readonly #shared: SharedLevels;
  readonly #local: LocalLimiter;
  readonly #now: () => number;

  /** @param now ms since the epoch, the clock of `local` */
  constructor(shared: SharedLevels, local: LocalLimiter, now: () => number) {
    this.#shared = shared;
    this.#local = local;
    this.#now = now;
  }

  take(id: string, limits: readonly RateLimit[], cost: number): LimitDecision | Promise<LimitDecision> {
    return this.#shared.works ? this.#ask(id, limits, cost) : this.#local.take(id, limits, cost);
  }

  async #ask(id: string, limits: readonly RateLimit[], cost: number): Promise<LimitDecision> {
    const askedMs = this.#now();
    const floors = this.#local.levels(id, limits, askedMs);
    try {
      const { allowed, levels } = await this.#shared.take(id, limits, cost, floors);
      // As of when it was asked: a floor must never be above what is shared.
      this.#local.learn(id, limits, levels, askedMs);
      return limitDecision(limits, levels, cost, allowed, this.#now());
    } catch {
      // Whatever is wrong, what is shared says itself.
      return this.#local.take(id, limits, cost);
    }
  }
}
