import { lockWaitMsDefault } from "./mutex.ts";

/**
 * What bounds the work with a database server, in ms. A server that answers keeps its own bounds; those of connections are
 * for one that doesn't.
 */
export interface ServerLimits {
  /** Longest wait for the head row, this process's queue included. */
  readonly lockWaitMs: number;
  /** Longest wait for a free connection, making one included. */
  readonly connectMs: number;
  /** Longest that the server may work on one statement. */
  readonly statementMs: number;
  /** Longest silence of a connection in use, over that of a statement; then it is taken for dead. */
  readonly silenceMs: number;
}

export const serverLimitsDefault: ServerLimits = {
  lockWaitMs: lockWaitMsDefault,
  connectMs: 3_000,
  statementMs: 10_000,
  silenceMs: 12_000,
};

/** Longest that a connection without use is kept, in ms; less than the silence after which it would be taken for dead. */
export function idleMsOf({ silenceMs }: ServerLimits): number {
  return Math.ceil(silenceMs * 0.8);
}

/** Mutating transactions of this process at once: one commits while the next waits for the head row. */
export const revisionLanes = 2;
