import { setTimeout } from "node:timers";

/** The machine's clocks as a verifier's parts want them, with timers that keep the command alive: it has nothing else to do. */
export const waitingClock = {
  now: Date.now,
  monotonicMs: () => performance.now(),
  schedule(callback: () => void, delayMs: number): () => void {
    const timer = setTimeout(callback, delayMs);
    return () => clearTimeout(timer);
  },
};
