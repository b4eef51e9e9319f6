import type { VerifierClock } from "../../services/verifier/clock.ts";

/** Clocks and timers of a verifier that move when the test says so. */
export class FakeVerifierClock implements VerifierClock {
  #wallMs: number;
  #monotonicMs = 0;
  #timers: { readonly dueMs: number; readonly callback: () => void }[] = [];

  constructor(wallMs: number) {
    this.#wallMs = wallMs;
  }

  readonly now = (): number => this.#wallMs;
  readonly monotonicMs = (): number => this.#monotonicMs;

  readonly schedule = (callback: () => void, delayMs: number): (() => void) => {
    const timer = { dueMs: this.#monotonicMs + delayMs, callback };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer);
    };
  };

  /** How many timers wait, and for how long the next one. */
  get pending(): readonly number[] {
    return this.#timers.map(({ dueMs }) => dueMs - this.#monotonicMs).sort((a, b) => a - b);
  }

  /** Both clocks go on; timers that are due call back. */
  advance(spanMs: number): void {
    this.#monotonicMs += spanMs;
    this.#wallMs += spanMs;
    const due = this.#timers.filter(({ dueMs }) => dueMs <= this.#monotonicMs);
    this.#timers = this.#timers.filter((timer) => !due.includes(timer));
    for (const { callback } of due) callback();
  }

  /** The process is suspended: both clocks go on, and nothing of it runs. */
  suspend(spanMs: number): void {
    this.#monotonicMs += spanMs;
    this.#wallMs += spanMs;
  }

  /** Somebody sets the clock, or the machine slept. */
  jump(spanMs: number): void {
    this.#wallMs += spanMs;
  }
}
