import type { ChangeRow } from "../core/change.ts";
import type { Followed } from "./followed-cache.ts";

/** Time to the next try when the secrets could not be read, in ms. */
const retryMs = 1_000;

/** What the tail tells, as far as it matters here. */
export type LogEvent =
  | { readonly kind: "change"; readonly row: Pick<ChangeRow, "change"> }
  | { readonly kind: "reset" };

/** Secrets, as they were read. */
export interface SecretsRead<T> {
  readonly secrets: T;
  /** In how many ms they are to be read again, since time changes what they are; undefined: not. */
  readonly changesInMs: number | undefined;
}

export interface FollowedSecretsDeps {
  /** Names them in the log. */
  readonly what: string;
  /** Calls back once after so many ms and gives what cancels that. */
  readonly schedule: (callback: () => void, delayMs: number) => () => void;
  /** The tail of the change log. */
  readonly followed: Followed & { subscribe(listener: (event: LogEvent) => void): unknown };
  readonly log: { error(fields: object, message: string): void };
}

/** Secrets of the whole store, read again whenever the change log says that some changed. */
export class FollowedSecrets<T> {
  readonly #deps: FollowedSecretsDeps;
  readonly #readSecrets: () => Promise<SecretsRead<T>>;
  readonly #onRead: () => void;
  #secrets: T | undefined;
  #uncertain = true;
  #reading: Promise<void> | undefined;
  #again = false;
  #cancelTimer = () => {};
  #closed = false;

  /** Follows the log from now on; see `load`. `onRead` is called after each read. */
  constructor(deps: FollowedSecretsDeps, read: () => Promise<SecretsRead<T>>, onRead: () => void = () => {}) {
    this.#deps = deps;
    this.#readSecrets = read;
    this.#onRead = onRead;
    deps.followed.subscribe((event) => {
      if (event.kind === "reset" || event.row.change.kind === "secret") this.#read();
    });
  }

  /** Reads them, once the log is followed: what is added from then on is told. Rejects with what the read rejects with. */
  load(): Promise<void> {
    return this.#alone(this.#take());
  }

  /** undefined until they are loaded. */
  get secrets(): T | undefined {
    return this.#secrets;
  }

  /** Whether they could not be read since they changed. */
  get uncertain(): boolean {
    return this.#uncertain;
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
    const { what, log } = this.#deps;
    const taken = this.#take().catch((err: unknown) => {
      log.error({ err }, `${what} could not be read; it is tried again`);
      this.#uncertain = true;
      this.#readIn(retryMs);
    });
    void this.#alone(taken);
  }

  async #take(): Promise<void> {
    this.#cancelTimer();
    const { secrets, changesInMs } = await this.#readSecrets();
    this.#secrets = secrets;
    this.#uncertain = false;
    if (changesInMs !== undefined) this.#readIn(changesInMs);
    this.#onRead();
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
