/**
 * Writes what comes while a write is under way together with the next one: a thousand who come at once cost a few
 * transactions, not a thousand. One write at a time, in the order of coming.
 */
export class GroupedWrites<T> {
  readonly #write: (items: readonly T[]) => Promise<void>;
  readonly #itemsMax: number;
  #last: Promise<void> = Promise.resolve();
  #next: Group<T> | undefined;

  /** @param itemsMax in one write */
  constructor(write: (items: readonly T[]) => Promise<void>, itemsMax: number) {
    this.#write = write;
    this.#itemsMax = itemsMax;
  }

  /** Resolves when the item is written, with others; rejects for all of them if they could not be. */
  add(item: T): Promise<void> {
    const open = this.#next;
    const next = open === undefined || open.items.length >= this.#itemsMax ? this.#begin() : open;
    next.items.push(item);
    return next.written;
  }

  #begin(): Group<T> {
    const items: T[] = [];
    const written = this.#last.then(() => {
      if (this.#next === next) this.#next = undefined;
      return this.#write(items);
    });
    const next: Group<T> = { items, written };
    this.#next = next;
    this.#last = written.catch(() => {});
    return next;
  }
}

interface Group<T> {
  readonly items: T[];
  readonly written: Promise<void>;
}
