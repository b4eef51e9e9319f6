/**
 * How long a new pepper only verifies before digests are bound to it, in ms: as long as a server may not have learned of it
 * (5 s, then its log is stale and it says "don't know"), and as much as clocks may differ.
 */
export const pepperLeadMs = 10_000;

/** Gives the pepper that digests are bound to at `nowMs`: the newest that has had its lead, else the oldest. */
export function currentPepper<P extends { readonly createTimeMs: number }>(
  newestFirst: readonly P[],
  nowMs: number,
): P | undefined {
  return newestFirst.find(({ createTimeMs }) => createTimeMs + pepperLeadMs <= nowMs) ?? newestFirst.at(-1);
}
