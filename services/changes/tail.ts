import { setImmediate as nextTurn } from "node:timers/promises";
import type { ChangeRow, Head } from "../core/change.ts";
import { genesisHash } from "../core/change-chain.ts";
import { IchorError } from "../core/errors.ts";
import type { Store } from "../store/port.ts";
import { RevisionWaiters } from "./revision-waiters.ts";
import { schedule } from "./schedule.ts";

/** Longest time between two looks at the log, in ms; a commit of this process wakes sooner. */
export const pollIntervalMs = 1_000;
/** Time to the next look while a gap is open, in ms: the missing entry is usually committed already. */
export const gapPollMs = 20;
/** Age from which the tail says that it is stale, in ms: a gap, or a store that gives no answer, for that long. */
export const staleAfterMs = 5_000;
/** Longest that a commit of this process waits until it is known here, in ms. */
export const commitWaitMsMax = 1_000;
/** Entries per read. */
export const pageSize = 500;

/**
 * What a tail tells, in order. `reset`: the history that was followed is no longer the store's (a restore, a fail-over),
 * so nothing learned from it holds; the tail goes on from `head`.
 */
export type TailEvent =
  | { readonly kind: "change"; readonly row: ChangeRow }
  | { readonly kind: "reset"; readonly head: Head; readonly reason: ResetReason };

/** `compacted`: nothing is wrong with the history, but what happened meanwhile can no longer be read. */
export type ResetReason = "fork" | "store_epoch" | "compacted";

export interface TailDeps {
  readonly store: Pick<Store, "head" | "changesAfter" | "onCommit" | "checkHead" | "compactedThrough">;
  readonly clock: {
    /** Ms since the epoch. */
    now(): number;
    /** Ms of a clock that nobody sets; default `performance.now`. */
    monotonicMs?(): number;
  };
  /** Calls back once after so many ms and gives what cancels that; default a timer that doesn't keep the process alive. */
  readonly schedule?: (callback: () => void, delayMs: number) => () => void;
  /** Called when the tail becomes stale, and when it no longer is. */
  readonly onStale?: (stale: boolean) => void;
  readonly log: {
    info(fields: object, message: string): void;
    warn(fields: object, message: string): void;
    error(fields: object, message: string): void;
  };
}

/**
 * Follows the store's log through contiguous revisions only, each entry once and in order. Commits of this process wake
 * it, and answer once they are known here; that it looks every second makes it certain. Each look reads the last entry again: if it is gone or has another
 * hash, or the store has another epoch, the history is another one.
 */
export class Tail {
  readonly #deps: TailDeps;
  readonly #monotonicMs: () => number;
  readonly #schedule: NonNullable<TailDeps["schedule"]>;
  readonly #listeners = new Set<(event: TailEvent) => void>();
  readonly #waiters = new RevisionWaiters();
  /** Where the tail stands: everything up to here was told. */
  #at: Head | undefined;
  #asOf: Moment | undefined;
  #polling: Promise<void> | undefined;
  #again = false;
  #cancelTimer: (() => void) | undefined;
  #running = false;
  #trouble: Outcome | undefined;
  #seenHead = 0n;
  #toldStale = false;

  constructor(deps: TailDeps) {
    this.#deps = deps;
    this.#monotonicMs = () => deps.clock.monotonicMs?.() ?? performance.now();
    this.#schedule = deps.schedule ?? schedule;
    deps.store.onCommit((revision) => this.#followCommit(revision));
    deps.store.checkHead((head) => this.#requireNoFork(head));
  }

  /** The revision up to which every change was told; 0 before the start. */
  get revision(): bigint {
    return this.#at?.revision ?? 0n;
  }

  /** Id of the history that is followed; empty before the start. */
  get storeEpoch(): string {
    return this.#at?.storeEpoch ?? "";
  }

  /** Where the log stood at `revision`; of revision 0 and without epoch before the start. */
  get position(): Head {
    return this.#at ?? { revision: 0n, hash: genesisHash, storeEpoch: "" };
  }

  /** How many revisions the store's head was ahead when it was last seen. */
  get lag(): bigint {
    const lag = this.#seenHead - this.revision;
    return lag > 0n ? lag : 0n;
  }

  /** When the last read began that found no gap up to the head, ms since the epoch; 0 before the first. */
  get asOfMs(): number {
    return this.#asOf?.wallMs ?? 0;
  }

  /** Ms since `asOfMs`, by a clock that nobody sets; infinite before the first read. */
  ageMs(): number {
    return this.#asOf === undefined ? Number.POSITIVE_INFINITY : this.#monotonicMs() - this.#asOf.monotonicMs;
  }

  /** Whether changes of the last seconds may be unknown here. */
  get stale(): boolean {
    return this.ageMs() >= staleAfterMs;
  }

  /**
   * Begins to follow after `from`, by default the store's head of now; whoever loaded state gives the head that it was
   * loaded with. Rejects if the store can't tell its head.
   */
  async start(from?: Head): Promise<void> {
    if (this.#running) throw new TypeError("the tail is running");
    this.#at = from ?? (await this.#deps.store.head());
    this.#running = true;
    await this.#poll();
  }

  /** Ends following, after the look that is under way. Whoever waits is refused with DRAINING. */
  async stop(): Promise<void> {
    this.#running = false;
    this.#cancelTimer?.();
    this.#waiters.refuseAll(new IchorError("DRAINING", "the server is shutting down"));
    await this.#polling;
  }

  /** Tells every event from now on, until the function that it gives is called. Listeners must not throw. */
  subscribe(listener: (event: TailEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Resolves once everything up to `revision` was told; rejects with the signal's reason when it aborts. */
  async reached(revision: bigint, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (this.revision >= revision) return;
    this.wake();
    await this.#waiters.wait(revision, signal);
  }

  /** Looks now, or right after the look that is under way: it may have begun before what woke. */
  wake(): void {
    if (!this.#running) return;
    if (this.#polling !== undefined) this.#again = true;
    else void this.#poll();
  }

  /**
   * Resolves once a commit of this process is known here: who reads its answer and calls again meets its effect. After
   * `commitWaitMsMax` it resolves all the same, since what is committed is done.
   */
  async #followCommit(revision: bigint): Promise<void> {
    if (!this.#running) return;
    try {
      await this.reached(revision, AbortSignal.timeout(commitWaitMsMax));
    } catch (err) {
      if (this.#running) this.#deps.log.warn({ err, revision }, "a commit of this server isn't known here yet");
    }
  }

  /**
   * Refuses a change of a store that stands where this tail knows another history, as a restored copy does until the
   * next look: its revision would be one that everybody here believes to know already.
   */
  #requireNoFork({ revision, hash }: Head): void {
    const at = this.#at;
    if (!this.#running || at === undefined || revision > at.revision) return;
    if (revision === at.revision && Buffer.compare(hash, at.hash) === 0) return;
    this.wake();
    throw new IchorError("STORE_UNAVAILABLE", "the store has another history than before, which is being read", {
      retryAfterMs: gapPollMs,
    });
  }

  #poll(): Promise<void> {
    this.#cancelTimer?.();
    this.#polling = this.#lookUntilDone();
    return this.#polling;
  }

  /** Looks, and again while it was woken meanwhile; then sets the timer. Never rejects. */
  async #lookUntilDone(): Promise<void> {
    let outcome: Outcome;
    do {
      this.#again = false;
      outcome = await this.#look();
      // Entries may come from memory without ever giving the event loop a turn.
      if (outcome === "more") await nextTurn();
    } while (this.#running && (this.#again || outcome === "more"));
    this.#polling = undefined;
    this.#report(outcome);
    if (!this.#running) return;
    const delayMs = outcome === "gap" && !this.stale ? gapPollMs : pollIntervalMs;
    this.#cancelTimer = this.#schedule(() => this.wake(), delayMs);
  }

  async #look(): Promise<Outcome> {
    const { store, clock, log } = this.#deps;
    const begun = { wallMs: clock.now(), monotonicMs: this.#monotonicMs() };
    try {
      const head = await store.head();
      this.#seenHead = head.revision;
      const last = this.revision;
      // From the last entry that was told, to see that it is still the same.
      const rows = await store.changesAfter(last === 0n ? 0n : last - 1n, pageSize);
      return this.#take(head, rows, begun, await this.#isBehind(rows));
    } catch (err) {
      if (this.#trouble !== "failed") log.warn({ err }, "the change log can't be read");
      return "failed";
    }
  }

  /** Says once that the tail is stale, and once that it no longer is. */
  #report(outcome: Outcome): void {
    const { log } = this.#deps;
    if (this.stale !== this.#toldStale) {
      this.#toldStale = this.stale;
      this.#deps.onStale?.(this.stale);
      if (this.stale) log.error({ revision: this.revision, trouble: outcome }, "the change log is stale here");
      else log.info({ revision: this.revision }, "the change log is followed again");
    }
    this.#trouble = outcome;
  }

  /** Whether entries that come next here were erased meanwhile: only after hours without a look. */
  async #isBehind(rows: readonly ChangeRow[]): Promise<boolean> {
    const next = this.revision === 0n ? 1n : this.revision;
    const [first] = rows;
    return first !== undefined && first.revision > next && (await this.#deps.store.compactedThrough()) >= next;
  }

  #take(head: Head, rows: readonly ChangeRow[], begun: Moment, behind: boolean): Outcome {
    const reason = this.#divergence(head, rows, behind);
    if (reason !== undefined) {
      this.#deps.log.error({ reason, from: this.revision, to: head.revision }, "the store's log must be begun anew");
      this.#move(head, { kind: "reset", head, reason });
      this.#asOf = begun;
      return "done";
    }
    let gap = false;
    for (const row of rows) {
      if (row.revision <= this.revision) continue;
      gap = row.revision !== this.revision + 1n;
      if (gap) break;
      this.#move({ revision: row.revision, hash: row.hash, storeEpoch: head.storeEpoch }, { kind: "change", row });
    }
    if (gap) return "gap";
    if (rows.length === pageSize) return "more";
    if (this.revision < head.revision) return "gap";
    this.#asOf = begun;
    return "done";
  }

  /**
   * Why the store's history can't be the one that is followed. Another epoch on the same entries was given by someone;
   * on others it came with a restored copy, and is a fork like any other.
   */
  #divergence(head: Head, rows: readonly ChangeRow[], behind: boolean): ResetReason | undefined {
    const at = this.#at;
    if (at === undefined) return "store_epoch";
    const sameEpoch = at.storeEpoch === head.storeEpoch;
    if (behind) return sameEpoch ? "compacted" : "store_epoch";
    const [last] = rows;
    const sameEntry = last?.revision === at.revision && Buffer.compare(last.hash, at.hash) === 0;
    if (at.revision > 0n && !sameEntry) return "fork";
    return sameEpoch ? undefined : "store_epoch";
  }

  /** Tells first: who sees the new revision may rely on every listener knowing. */
  #move(to: Head, event: TailEvent): void {
    for (const listener of [...this.#listeners]) {
      try {
        listener(event);
      } catch (err) {
        this.#deps.log.error({ err, revision: to.revision }, "a listener of the change log failed");
      }
    }
    this.#at = to;
    this.#waiters.release(to.revision);
  }
}

/** How a look ended: at the head, with more to read, before an entry that is missing, or without an answer. */
type Outcome = "done" | "more" | "gap" | "failed";

interface Moment {
  readonly wallMs: number;
  readonly monotonicMs: number;
}
