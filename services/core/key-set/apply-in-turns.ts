import { type KeySetDelta, splitDelta } from "./key-set-delta.ts";
import type { KeySetState } from "./key-set-state.ts";

/**
 * Ids that are applied before other work of the process gets its turn: a fraction of a ms, but for a large table that is
 * being filled. Each of its first ids is the first to touch a page of memory, which the system then has to find.
 */
const idsPerTurn = 250;

/**
 * Applies a delta without keeping others waiting; one of a few ids at once, before it returns.
 *
 * @param nextTurn resolves when others have had their turn
 */
export async function applyInTurns(
  state: KeySetState,
  delta: KeySetDelta,
  nextTurn: () => Promise<unknown>,
): Promise<void> {
  let first = true;
  for (const part of splitDelta(delta, idsPerTurn)) {
    if (!first) await nextTurn();
    first = false;
    state.apply(part);
  }
}
