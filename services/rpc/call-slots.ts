import { IchorError } from "../core/errors.ts";
import type { Eventual } from "../core/eventual.ts";

/** How many calls may wait for something at a time, unless it is set. */
export const callsMaxDefault = 2_000;
const retryAfterMs = 500;

/**
 * Bounds how many calls wait for something (the store, a deadline) at a time, and shares that among who calls: nobody gets
 * a slot who has as many already as are free. So one caller alone has half of them at most, two have a third each, and
 * there is always one for who has none: dynamic thresholds (Choudhury and Hahne, IEEE/ACM Transactions on Networking 6,
 * 1998), which need neither a queue nor a list of callers. A call that is answered at once never takes one.
 */
export class CallSlots {
  readonly #max: number;
  readonly #held = new Map<string, number>();
  #total = 0;

  constructor(max: number = callsMaxDefault) {
    this.#max = max;
  }

  /** How many calls wait. */
  get taken(): number {
    return this.#total;
  }

  /** Throws TOO_MANY_CALLS unless there is a slot for this holder. */
  requireRoom(holder: string): void {
    if (this.#total === 0 || (this.#held.get(holder) ?? 0) < this.#max - this.#total) return;
    throw new IchorError("TOO_MANY_CALLS", "the server has too many calls of this caller, or of all, under way", {
      retryAfterMs,
    });
  }

  /** Takes a slot for what has begun, if it waits. Throws TOO_MANY_CALLS; nobody hears of the work then. */
  holdBegun<T>(holder: string, work: Eventual<T>): Eventual<T> {
    if (!(work instanceof Promise)) return work;
    try {
      this.requireRoom(holder);
    } catch (busy) {
      work.catch(() => {});
      throw busy;
    }
    return this.hold(holder, work);
  }

  /** Takes a slot for the holder until the work has ended. */
  hold<T>(holder: string, work: Promise<T>): Promise<T> {
    this.#total += 1;
    this.#held.set(holder, (this.#held.get(holder) ?? 0) + 1);
    return work.finally(() => {
      this.#total -= 1;
      const held = (this.#held.get(holder) ?? 0) - 1;
      if (held === 0) this.#held.delete(holder);
      else this.#held.set(holder, held);
    });
  }
}
