/** A clock that stands until it is moved. */
export class FakeClock {
  #nowMs = Date.UTC(2026, 0, 1);

  /** Ms since the epoch. Bound, so that it can be handed on. */
  readonly now = (): number => this.#nowMs;

  /** Moves the clock by so many ms. */
  advance(spanMs: number): void {
    this.#nowMs += spanMs;
  }
}
