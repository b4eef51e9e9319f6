import { IchorError } from "../core/errors.ts";
import type { Call } from "../rpc/call.ts";
import type { Freshness } from "./records.ts";

/** The part of the time until the deadline that a wait for a revision may take. */
const patienceOfRemaining = 0.8;

/**
 * Resolves once `minRevision` is known here. Gives up a little before the deadline, so that the caller learns why, and
 * at once when the client goes away: nothing of the wait is left then, since anyone who may verify can begin thousands.
 * Throws REVISION_NOT_REACHED.
 */
export async function awaitRevision(
  freshness: Freshness,
  minRevision: bigint,
  call: Pick<Call, "signal" | "remainingMs">,
): Promise<void> {
  if (freshness.revision >= minRevision) return;
  const { signal } = call;
  // Neither AbortSignal.timeout nor AbortSignal.any: what they make lives until the time is over.
  const giveUp = new AbortController();
  const onGone = () => giveUp.abort(signal.reason);
  const onLate = () => giveUp.abort(new Error("no time is left to wait"));
  const timer = setTimeout(onLate, Math.max(0, Math.floor(call.remainingMs() * patienceOfRemaining)));
  if (signal.aborted) onGone();
  else signal.addEventListener("abort", onGone, { once: true });
  try {
    await freshness.reached(minRevision, giveUp.signal);
  } catch (cause) {
    throw new IchorError("REVISION_NOT_REACHED", "the server hasn't seen this revision", { cause, retryAfterMs: 1000 });
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", onGone);
  }
}
