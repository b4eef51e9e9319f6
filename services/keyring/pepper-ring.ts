import type { ChangeRow } from "../core/change.ts";
import type { Pepper, Peppers } from "../core/digest.ts";
import type { StoreReads } from "../store/port.ts";
import type { Followed } from "./followed-cache.ts";
import type { MasterKeys } from "./master-key.ts";
import { LoadedPeppers, loadPeppers } from "./peppers.ts";

/** Time to the next try when the peppers could not be read, in ms. */
const retryMs = 1_000;
/** From this age of the change log on, a pepper may have been added that isn't known here, in ms. */
const stalenessMsMax = 5_000;

/** What the tail tells, as far as it matters here. */
export type LogEvent =
  | { readonly kind: "change"; readonly row: Pick<ChangeRow, "change"> }
  | { readonly kind: "reset" };

export interface PepperRingDeps {
  readonly store: Pick<StoreReads, "listSealedSecrets">;
  readonly masterKeys: MasterKeys;
  /** Ms since the epoch. */
  readonly now: () => number;
  /** Calls back once after so many ms and gives what cancels that. */
  readonly schedule: (callback: () => void, delayMs: number) => () => void;
  /** The tail of the change log. */
  readonly followed: Followed & { subscribe(listener: (event: LogEvent) => void): unknown };
  readonly log: { error(fields: object, message: string): void };
}

/**
 * The store's peppers as the change log tells them. A new one becomes current once every server knows it; who can't know
 * all of them says that some aren't loaded, so that nobody takes a key for unknown that is bound to one of these.
 */
export class PepperRing implements Peppers {
  readonly #deps: PepperRingDeps;
  #peppers = new LoadedPeppers([]);
  #uncertain = false;
  #reading: Promise<void> | undefined;
  #again = false;
  #cancelTimer = () => {};
  #closed = false;

  private constructor(deps: PepperRingDeps) {
    this.#deps = deps;
    deps.followed.subscribe((event) => {
      if (event.kind === "reset" || event.row.change.kind === "secret") this.#read();
    });
  }

  /**
   * Reads and opens the peppers, once the log is followed: what is added from then on is told. Throws SECRET_NOT_LOADED for
   * one that is damaged.
   */
  static async load(deps: PepperRingDeps): Promise<PepperRing> {
    const ring = new PepperRing(deps);
    await ring.#alone(ring.#take());
    return ring;
  }

  current(): Pepper {
    return this.#peppers.current();
  }

  get(id: string): Pepper | undefined {
    return this.#peppers.get(id);
  }

  live(): readonly Pepper[] {
    return this.#peppers.live();
  }

  someSealed(): boolean {
    return this.#uncertain || this.#peppers.someSealed() || this.#deps.followed.ageMs() >= stalenessMsMax;
  }

  /** Ends what it would do later. */
  close(): void {
    this.#closed = true;
    this.#cancelTimer();
  }

  /** Reads them again, and once more if that is asked for while it reads. Until a failed read is made good, nothing is sure. */
  #read(): void {
    if (this.#reading !== undefined) {
      this.#again = true;
      return;
    }
    const taken = this.#take().catch((err: unknown) => {
      this.#deps.log.error({ err }, "the peppers could not be read; it is tried again");
      this.#uncertain = true;
      this.#readIn(retryMs);
    });
    void this.#alone(taken);
  }

  async #take(): Promise<void> {
    this.#cancelTimer();
    const { store, masterKeys, now } = this.#deps;
    const { peppers, changesInMs } = await loadPeppers(store, masterKeys, now());
    this.#peppers = peppers;
    this.#uncertain = false;
    if (changesInMs !== undefined) this.#readIn(changesInMs);
  }

  async #alone(reading: Promise<void>): Promise<void> {
    this.#reading = reading;
    await reading;
    this.#reading = undefined;
    if (!this.#again) return;
    this.#again = false;
    this.#read();
  }

  #readIn(delayMs: number): void {
    if (!this.#closed) this.#cancelTimer = this.#deps.schedule(() => this.#read(), delayMs);
  }
}
