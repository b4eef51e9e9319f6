import type { OpenWakeChannel } from "../changes/wake-channel.ts";
import type { RateLimiter } from "../limits/limiter-port.ts";

/** The processes of one server on one machine, as one of them sees them: a primary and its workers. */
export interface Family {
  /** Whether this process does what is due by the clock: one of them does. */
  readonly tends: boolean;
  /**
   * Joins the processes to the way by which servers wake each other; absent: there is none. The primary alone is on it and
   * passes on what it hears and what its workers publish.
   */
  relay(outer: OpenWakeChannel | undefined): OpenWakeChannel;
  /** Counts uses for all processes together, on what the primary counts with. */
  limiter(local: RateLimiter): RateLimiter;
}
