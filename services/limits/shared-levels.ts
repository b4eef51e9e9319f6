import type { RateLimit } from "../core/rate-limit.ts";

/** What a store that several servers share made of a use. */
export interface SharedTake {
  readonly allowed: boolean;
  /** The level of each limit after it. */
  readonly levels: readonly number[];
}

/** Levels that several servers count in together. */
export interface SharedLevels {
  /** Whether it is to be asked: it answered lately. */
  readonly works: boolean;
  /**
   * Takes `cost` of all limits of an id, or of none, in one step. `floors` is what this server knows the levels to be at
   * least. Rejects if there is no answer in time; then the use may have been taken or not.
   */
  take(id: string, limits: readonly RateLimit[], cost: number, floors: readonly number[]): Promise<SharedTake>;
  close(): void;
}

/** Hears whether levels are shared. */
export interface SharingListener {
  /** From now on. */
  shared(): void;
  /** They aren't; it keeps trying. Told once until they are again. */
  alone(error: unknown): void;
}
