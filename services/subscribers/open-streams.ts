import type { StreamCaller } from "../core/caller-end.ts";
import { IchorError } from "../core/errors.ts";
import type { EndListener } from "../rpc/call.ts";
import type { Subscriber } from "./subscriber.ts";

/** Time between heartbeats, in ms. */
export const heartbeatMs = 2_000;
/** How often every caller is checked again, in ms: credentials also end by the clock. */
export const recheckMs = 30_000;
/** How long who resumes from a later revision waits until that is known here, in ms. */
export const aheadWaitMsMax = 1_000;
/** Streams that end together come back within this time, in ms. */
const drainSpreadMs = 5_000;

export interface OpenStreamsDeps {
  /** Aborts when the process stops. */
  readonly drain: AbortSignal;
  /** From 0 to below 1. */
  readonly jitter: () => number;
  /** Calls back once after so many ms and gives what cancels that. */
  readonly schedule: (callback: () => void, delayMs: number) => () => void;
  /** Called every `heartbeatMs` while a stream is open. */
  readonly onBeat: () => void;
}

/** The streams that are open: their callers are checked again and again, and all are ended when the process stops. */
export class OpenStreams implements EndListener<Subscriber> {
  readonly #deps: OpenStreamsDeps;
  readonly #all = new Set<Subscriber>();
  #cancelTimer: () => void = () => {};
  #sinceRecheckMs = 0;

  constructor(deps: OpenStreamsDeps) {
    this.#deps = deps;
    deps.drain.addEventListener("abort", () => this.#drain(), { once: true });
  }

  get all(): ReadonlySet<Subscriber> {
    return this.#all;
  }

  /** Takes a stream in, until it ends. Throws DRAINING. */
  add(subscriber: Subscriber): void {
    if (this.#deps.drain.aborted) throw new IchorError("DRAINING", "the server is shutting down");
    if (this.#all.size === 0) this.#beat();
    this.#all.add(subscriber);
    subscriber.onEnd(this);
  }

  ended(subscriber: Subscriber): void {
    this.#all.delete(subscriber);
    if (this.#all.size === 0) this.#cancelTimer();
  }

  /** Checks again those whose callers may have ended; `surely` as in `Subscriber.recheck`. */
  recheck(mayHaveEnded: (caller: StreamCaller) => boolean, surely = false): void {
    for (const subscriber of this.#all) if (mayHaveEnded(subscriber)) void subscriber.recheck(surely);
  }

  #beat(): void {
    const { schedule, onBeat } = this.#deps;
    this.#cancelTimer = schedule(() => {
      onBeat();
      this.#sinceRecheckMs += heartbeatMs;
      if (this.#sinceRecheckMs >= recheckMs) {
        this.#sinceRecheckMs = 0;
        this.recheck(() => true);
      }
      this.#beat();
    }, heartbeatMs);
  }

  #drain(): void {
    for (const subscriber of this.#all) subscriber.drain(this.#deps.jitter() * drainSpreadMs);
  }
}
