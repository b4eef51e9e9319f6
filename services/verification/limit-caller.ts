import type { Caller } from "../core/caller.ts";
import { IchorError } from "../core/errors.ts";
import type { LimitDecision } from "../core/rate-limit.ts";
import type { RateLimiter } from "../limits/limiter-port.ts";

/** Takes one use of the rate limits of a caller's key; throws or rejects with RATE_LIMITED. Nothing to wait for: undefined. */
export type LimitCaller = (caller: Caller) => Promise<void> | undefined;

/** Makes LimitCaller. */
export function limitCaller(limiter: RateLimiter, now: () => number): LimitCaller {
  const require = ({ allowed, states }: LimitDecision): void => {
    if (allowed) return;
    const refusing = states.filter(({ retryTimeMs }) => retryTimeMs !== undefined);
    const retryAfterMs = Math.max(...refusing.map(({ retryTimeMs = 0 }) => retryTimeMs - now()), 1);
    const limit = refusing.map(({ name }) => name).join(" ");
    throw new IchorError("RATE_LIMITED", "a rate limit of the caller's key is used up", {
      metadata: { limit },
      retryAfterMs,
    });
  };
  return ({ keyId, rateLimits }) => {
    if (rateLimits === undefined) return undefined;
    const decision = limiter.take(keyId, rateLimits, 1);
    if (decision instanceof Promise) return decision.then(require);
    return require(decision) as undefined;
  };
}
