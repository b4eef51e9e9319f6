interface Waiter {
  readonly revision: bigint;
  readonly resolve: () => void;
  readonly reject: (reason: unknown) => void;
}

/** Who waits for a revision. */
export class RevisionWaiters {
  readonly #waiters = new Set<Waiter>();

  /** Resolves when `release` is called with this revision or a later one; rejects with the signal's reason. */
  wait(revision: bigint, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const end = () => {
        signal.removeEventListener("abort", abort);
        this.#waiters.delete(waiter);
      };
      const waiter: Waiter = {
        revision,
        resolve: () => {
          end();
          resolve();
        },
        reject: (reason) => {
          end();
          reject(reason);
        },
      };
      const abort = () => waiter.reject(signal.reason);
      signal.addEventListener("abort", abort);
      this.#waiters.add(waiter);
    });
  }

  release(revision: bigint): void {
    for (const waiter of [...this.#waiters]) if (waiter.revision <= revision) waiter.resolve();
  }

  refuseAll(reason: unknown): void {
    for (const waiter of [...this.#waiters]) waiter.reject(reason);
  }
}
