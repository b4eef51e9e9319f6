/** What an iterator gives, made when it is first asked for and kept for whoever asks again. */
export class SharedSequence<T> implements Iterable<T> {
  readonly #source: Iterator<T>;
  readonly #made: T[] = [];
  #complete = false;

  constructor(source: Iterable<T>) {
    this.#source = source[Symbol.iterator]();
  }

  *[Symbol.iterator](): Generator<T> {
    for (let i = 0; i < this.#made.length || this.#makeNext(); i++) yield this.#made[i] as T;
  }

  #makeNext(): boolean {
    if (this.#complete) return false;
    const { value, done } = this.#source.next();
    this.#complete = done === true;
    if (!this.#complete) this.#made.push(value);
    return !this.#complete;
  }
}
