import type { KeyId } from "../core/ids.ts";
import type { KeyUse, Store } from "../store/port.ts";

/** Time between two writes, in ms. */
export const flushIntervalMs = 10_000;
/** Keys of one write; and from so many waiting ones on a write begins at once. */
const batchMax = 500;
const waitingMax = 50_000;

/** Notes that a right secret of a key was presented, from an address if it is known (else empty). */
export type RecordUse = (keyId: KeyId, secretVersion: number, clientAddress: string) => void;

export interface UseRecorderDeps {
  readonly store: Pick<Store, "addUse">;
  /** Ms since the epoch. */
  readonly now: () => number;
  /** Calls back once after so many ms and gives what cancels that. */
  readonly schedule: (callback: () => void, delayMs: number) => () => void;
  readonly log: { warn(fields: object, message: string): void };
}

interface Waiting {
  count: number;
  lastTimeMs: number;
  lastAddress: string;
  readonly versions: Map<number, { count: number; lastTimeMs: number }>;
}

/**
 * Counts the use of keys in memory and adds it to the store in batches: every 10 s, and at the end. What a process had
 * not written when it was killed is lost, and what it wrote without learning so is counted again: counts are for people.
 */
export class UseRecorder {
  readonly #deps: UseRecorderDeps;
  #waiting = new Map<KeyId, Waiting>();
  #flushing: Promise<void> | undefined;
  #cancelTimer: (() => void) | undefined;
  /** Batches so far that were written, and that failed. */
  readonly flushes = { ok: 0, failed: 0 };

  constructor(deps: UseRecorderDeps) {
    this.#deps = deps;
  }

  readonly record: RecordUse = (keyId, number, clientAddress) => {
    const nowMs = this.#deps.now();
    const waiting = this.#waiting.get(keyId) ?? this.#begin(keyId);
    waiting.count += 1;
    waiting.lastTimeMs = nowMs;
    if (clientAddress !== "") waiting.lastAddress = clientAddress;
    const version = waiting.versions.get(number);
    if (version === undefined) waiting.versions.set(number, { count: 1, lastTimeMs: nowMs });
    else {
      version.count += 1;
      version.lastTimeMs = nowMs;
    }
  };

  /** How many keys have use that isn't written. */
  get waitingKeys(): number {
    return this.#waiting.size;
  }

  /** Writes what waits. Never rejects: what can't be written waits on. */
  flush(): Promise<void> {
    this.#flushing ??= this.#write().finally(() => {
      this.#flushing = undefined;
    });
    return this.#flushing;
  }

  /** Ends the timer and writes what waits. */
  async stop(): Promise<void> {
    await this.flush();
    await this.flush();
    this.#cancelTimer?.();
  }

  #begin(id: KeyId): Waiting {
    const waiting: Waiting = { count: 0, lastTimeMs: 0, lastAddress: "", versions: new Map() };
    this.#waiting.set(id, waiting);
    this.#cancelTimer ??= this.#deps.schedule(() => void this.flush(), flushIntervalMs);
    if (this.#waiting.size >= waitingMax) void this.flush();
    return waiting;
  }

  async #write(): Promise<void> {
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
    const uses = [...this.#waiting].map(useOf).sort((a, b) => (a.keyId < b.keyId ? -1 : 1));
    this.#waiting = new Map();
    for (let start = 0; start < uses.length; start += batchMax) {
      try {
        await this.#deps.store.addUse(uses.slice(start, start + batchMax));
        this.flushes.ok += 1;
      } catch (err) {
        this.flushes.failed += 1;
        this.#deps.log.warn({ err }, "the use of keys could not be written; it is tried again");
        for (const use of uses.slice(start)) this.#putBack(use);
        return;
      }
    }
  }

  #putBack(use: KeyUse): void {
    // A store that is away for long must not fill the memory.
    if (this.#waiting.size >= waitingMax) return;
    const waiting = this.#waiting.get(use.keyId) ?? this.#begin(use.keyId);
    waiting.count += use.count;
    if (waiting.lastTimeMs < use.lastTimeMs) {
      waiting.lastTimeMs = use.lastTimeMs;
      waiting.lastAddress = use.lastAddress;
    }
    for (const { number, count, lastTimeMs } of use.versions) {
      const version = waiting.versions.get(number) ?? { count: 0, lastTimeMs: 0 };
      waiting.versions.set(number, {
        count: version.count + count,
        lastTimeMs: Math.max(version.lastTimeMs, lastTimeMs),
      });
    }
  }
}

function useOf([keyId, { count, lastTimeMs, lastAddress, versions }]: [KeyId, Waiting]): KeyUse {
  return {
    keyId,
    count,
    lastTimeMs,
    lastAddress,
    versions: [...versions].map(([number, version]) => ({ number, ...version })),
  };
}
