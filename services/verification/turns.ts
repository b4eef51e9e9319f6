/** Lets those who wait go on together, so many of them every `intervalMs`, in the order in which they came. */
export class Turns {
  readonly #intervalMs: number;
  readonly #atOnce: number;
  readonly #schedule: (callback: () => void, delayMs: number) => unknown;
  #waiting: (() => void)[] = [];

  constructor(intervalMs: number, atOnce: number, schedule: (callback: () => void, delayMs: number) => unknown) {
    this.#intervalMs = intervalMs;
    this.#atOnce = atOnce;
    this.#schedule = schedule;
  }

  /** How many wait. */
  get waiting(): number {
    return this.#waiting.length;
  }

  next(): Promise<void> {
    return new Promise((resolve) => {
      if (this.#waiting.length === 0) this.#schedule(this.#letGo, this.#intervalMs);
      this.#waiting.push(resolve);
    });
  }

  readonly #letGo = (): void => {
    const going = this.#waiting.slice(0, this.#atOnce);
    this.#waiting = this.#waiting.slice(this.#atOnce);
    if (this.#waiting.length > 0) this.#schedule(this.#letGo, this.#intervalMs);
    for (const go of going) go();
  };
}
