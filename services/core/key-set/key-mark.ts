import type { KeyEvent } from "../change.ts";
import { tokenMemoryMs } from "../signing-key.ts";

// What verifiers of derived tokens must know about a key, as one number: whether it is suspended or revoked, and which of
// its tokens died by a raise of its epoch. A key that has nothing to be told has no mark.

export type KeyMarkStatus = "LIVE" | "DISABLED" | "REVOKED";

/** The mark of a key, with what only the server needs. */
export interface KeyMark {
  readonly status: KeyMarkStatus;
  /** Tokens derived under a lower epoch are dead. 0 to 2^30 - 1. */
  readonly tokenEpoch: number;
  /**
   * From when on no token can live that revocation or epoch tell of, ms since the epoch; absent if they tell of none.
   */
  readonly forgetTimeMs?: number;
}

/** The greatest token epoch that a mark can tell. */
export const tokenEpochMax = 2 ** 30 - 1;

const statuses: readonly KeyMarkStatus[] = ["LIVE", "DISABLED", "REVOKED"];

/** Gives the mark as an unsigned 32-bit number: status (0 LIVE, 1 DISABLED, 2 REVOKED) in the 2 high bits, epoch in the others. */
export function markNumber({ status, tokenEpoch }: Pick<KeyMark, "status" | "tokenEpoch">): number {
  if (!Number.isInteger(tokenEpoch) || tokenEpoch < 0 || tokenEpoch > tokenEpochMax) {
    throw new TypeError("token epoch out of range");
  }
  return statuses.indexOf(status) * 2 ** 30 + tokenEpoch;
}

/** Gives status and epoch of `markNumber`; undefined if the number is none. */
export function readMark(mark: number): Pick<KeyMark, "status" | "tokenEpoch"> | undefined {
  const status = statuses[Math.floor(mark / 2 ** 30)];
  return status === undefined ? undefined : { status, tokenEpoch: mark % 2 ** 30 };
}

/**
 * Gives a key's mark after an event of the log; undefined: it has none. The one rule for it: the store keeps marks by it
 * in the transaction that makes the event, and feeds fold the log by it.
 *
 * A revocation or a raised epoch is told for as long as a token of before may live, and outlives the key's deletion; a
 * suspension as long as it lasts, and is a revocation once its key is deleted.
 *
 * @param tokenEpoch the key's epoch, if the event raised it
 * @param commitTimeMs of the event
 */
export function markAfter(
  mark: KeyMark | undefined,
  event: KeyEvent,
  tokenEpoch: number | undefined,
  commitTimeMs: number,
): KeyMark | undefined {
  const before = raised(mark ?? { status: "LIVE", tokenEpoch: 0 }, tokenEpoch, commitTimeMs);
  switch (event) {
    case "revoked":
      return { ...before, status: "REVOKED", forgetTimeMs: commitTimeMs + tokenMemoryMs };
    case "disabled":
      return { ...before, status: "DISABLED" };
    case "enabled":
      return told({ ...before, status: "LIVE" });
    case "deleted":
      // Nobody can enable it any more, so that the suspension must end by itself.
      return before.status === "DISABLED"
        ? { ...before, status: "REVOKED", forgetTimeMs: commitTimeMs + tokenMemoryMs }
        : told(before);
    case "forgotten":
      return before.status === "DISABLED" ? before : undefined;
    default:
      return told(before);
  }
}

function raised(mark: KeyMark, tokenEpoch: number | undefined, commitTimeMs: number): KeyMark {
  return tokenEpoch === undefined ? mark : { ...mark, tokenEpoch, forgetTimeMs: commitTimeMs + tokenMemoryMs };
}

function told(mark: KeyMark): KeyMark | undefined {
  return mark.status === "LIVE" && mark.tokenEpoch === 0 ? undefined : mark;
}
