/** A read of a store that happens in two steps, when the test says so: what it sees, and when its answer arrives. */
export class ReadByHand<K, V> {
  readonly #current: (id: K) => V | undefined;
  readonly pending: PendingRead<K, V>[] = [];

  constructor(current: (id: K) => V | undefined) {
    this.#current = current;
  }

  readonly read = (id: K): Promise<V | undefined> =>
    new Promise((resolve, reject) => {
      const pending: PendingRead<K, V> = {
        id,
        seen: undefined,
        look: () => {
          pending.seen = { value: this.#current(id) };
        },
        arrive: () => {
          if (pending.seen === undefined) pending.look();
          this.#remove(pending);
          resolve(pending.seen?.value);
        },
        fail: (reason) => {
          this.#remove(pending);
          reject(reason);
        },
      };
      this.pending.push(pending);
    });

  #remove(pending: PendingRead<K, V>): void {
    this.pending.splice(this.pending.indexOf(pending), 1);
  }
}

export interface PendingRead<K, V> {
  readonly id: K;
  seen: { readonly value: V | undefined } | undefined;
  /** Reads the committed state of now. */
  look(): void;
  /** Gives what was seen to who asked. */
  arrive(): void;
  fail(reason: unknown): void;
}

/** Lets every promise that is ready run. */
export async function turn(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
}
