/** Longest wait of a mutation for its turn to write, in ms, this process's queue included. */
export const lockWaitMsDefault = 5_000;

/** Gives a lock back; further calls do nothing. */
export type Release = () => void;

/** Waited longer for the mutex than allowed. */
export class MutexTimeout extends Error {
  override readonly name = "MutexTimeout";
}

interface Waiter {
  readonly grant: () => void;
}

/** A lock within this process, given in the order of asking, that so many may hold at once; by default one. */
export class Mutex {
  #free: number;
  readonly #waiters = new Set<Waiter>();

  constructor(holders = 1) {
    this.#free = holders;
  }

  /** Resolves once the lock is held; rejects with `MutexTimeout` after `timeoutMs`. */
  acquire(timeoutMs: number): Promise<Release> {
    if (this.#free > 0) {
      this.#free--;
      return Promise.resolve(this.#release());
    }
    return new Promise((resolve, reject) => {
      const waiter: Waiter = {
        grant: () => {
          clearTimeout(timer);
          this.#waiters.delete(waiter);
          resolve(this.#release());
        },
      };
      const timer = setTimeout(() => {
        this.#waiters.delete(waiter);
        reject(new MutexTimeout(`no lock after ${timeoutMs} ms`));
      }, timeoutMs);
      this.#waiters.add(waiter);
    });
  }

  #release(): Release {
    let released = false;
    return () => {
      if (released) return;
      released = true;
      const [next] = this.#waiters;
      if (next === undefined) this.#free++;
      else next.grant();
    };
  }
}
