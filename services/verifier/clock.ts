/** Time, as the verifier needs it; tests put their own in its place. */
export interface VerifierClock {
  /** Ms since the epoch; somebody may set it. */
  now(): number;
  /** Ms of a clock that only goes forward. */
  monotonicMs(): number;
  /** Calls back once after so many ms and gives what cancels that; must not keep the process alive. */
  schedule(callback: () => void, delayMs: number): () => void;
}

/** The clocks and timers of this machine. */
export const systemClock: VerifierClock = {
  now: Date.now,
  monotonicMs: () => performance.now(),
  schedule(callback, delayMs) {
    const timer = setTimeout(callback, delayMs);
    timer.unref();
    return () => clearTimeout(timer);
  },
};
