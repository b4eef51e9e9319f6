import type { VerifierClock } from "./clock.ts";

/** How much the clocks of server and verifier may differ, and how far the wall clock may jump, in ms. */
export const clockSkewMsMax = 5_000;

/**
 * How old what is known is: the larger of monotonic and wall time since it arrived, and what it was old by then. A wall
 * clock that jumps by more than 5 s, or a process that slept, can't be told apart from knowledge that is old: it makes
 * everything stale until the server is heard again.
 */
export class Freshness {
  readonly #clock: VerifierClock;
  #arrival: { readonly monotonicMs: number; readonly wallMs: number; readonly oldByMs: number } | undefined;

  constructor(clock: VerifierClock) {
    this.#clock = clock;
  }

  /** Notes that all was known as of `asOfMs` by the server's clock. False: of a future that no skew explains, so that nothing can be said. */
  arrived(asOfMs: number): boolean {
    const wallMs = this.#clock.now();
    const oldByMs = wallMs - asOfMs;
    if (oldByMs < -clockSkewMsMax) return false;
    this.#arrival = { monotonicMs: this.#clock.monotonicMs(), wallMs, oldByMs: Math.max(0, oldByMs) };
    return true;
  }

  /** Ms, by what both clocks say now; infinite if nothing arrived yet, or a clock jumped since. */
  ageMs(monotonicNowMs = this.#clock.monotonicMs(), wallNowMs = this.#clock.now()): number {
    if (this.#arrival === undefined) return Number.POSITIVE_INFINITY;
    const monotonicMs = monotonicNowMs - this.#arrival.monotonicMs;
    const wallMs = wallNowMs - this.#arrival.wallMs;
    if (Math.abs(wallMs - monotonicMs) > clockSkewMsMax) return Number.POSITIVE_INFINITY;
    return Math.max(monotonicMs, wallMs) + this.#arrival.oldByMs;
  }
}
