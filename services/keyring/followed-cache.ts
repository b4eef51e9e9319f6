/** How far the change log is followed. */
export interface Followed {
  /** Ms since everything that was committed by then was told. */
  ageMs(): number;
}

/** From this age of the change log on, the store is asked, in ms. */
const stalenessMsMax = 5_000;
const entriesMax = 10_000;

/**
 * What the store says of an id, read once and kept until the change log names the id: whoever applies a change calls
 * `drop` before its revision is told to anyone. A read that is under way then is no longer joined, since it may have
 * been made before the commit. While the log is stale nothing that was kept is used.
 */
export class FollowedCache<K, V> {
  readonly #read: (id: K) => Promise<V>;
  readonly #followed: Followed;
  readonly #entries = new Map<K, { readonly answer: Promise<V>; value?: V }>();

  constructor(read: (id: K) => Promise<V>, followed: Followed) {
    this.#read = read;
    this.#followed = followed;
  }

  /** Rejects with what the read rejects with; nothing of that is kept. */
  get(id: K): Promise<V> {
    if (this.#followed.ageMs() >= stalenessMsMax) return this.#read(id);
    const kept = this.#entries.get(id);
    if (kept !== undefined) return kept.answer;
    const [oldest] = this.#entries.size >= entriesMax ? this.#entries.keys() : [];
    if (oldest !== undefined) this.#entries.delete(oldest);
    const entry: { readonly answer: Promise<V>; value?: V } = { answer: this.#read(id) };
    this.#entries.set(id, entry);
    entry.answer.then(
      (value) => {
        entry.value = value;
      },
      () => this.#entries.get(id) === entry && this.#entries.delete(id),
    );
    return entry.answer;
  }

  /** Changes what is kept of an id; forgets it if it is only being read. */
  change(id: K, apply: (value: V) => void): void {
    const entry = this.#entries.get(id);
    if (entry?.value === undefined) this.#entries.delete(id);
    else apply(entry.value);
  }

  drop(id: K): void {
    this.#entries.delete(id);
  }

  clear(): void {
    this.#entries.clear();
  }
}
