/** Whether the server takes calls, and what keeps it from doing so. Health and `/readyz` tell it; the process sets it. */
export interface Readiness {
  /** What keeps the server from taking calls, as `draining` or `store`, in the order in which it came up; empty: ready. */
  reasons(): readonly string[];
  /** Notes that something keeps the server from taking calls, or no longer does. */
  set(reason: string, holds: boolean): void;
  /** What works less well than it should, as `shared_limits`, and keeps the server from nothing. */
  degraded(): readonly string[];
  /** Notes that something works less well, or no longer does. */
  degrade(what: string, holds: boolean): void;
  /** Says for good that the server is shutting down: the reason `draining`. */
  drain(): void;
  readonly draining: boolean;
  /** Aborts when draining begins: what streams end by. */
  readonly drainSignal: AbortSignal;
  /** A number that differs after each change. */
  readonly version: number;
  /** Resolves once `version` is no longer `seen`, at once if it isn't, and when the signal aborts. */
  changed(seen: number, signal: AbortSignal): Promise<void>;
}

/** A server that is ready until it is told otherwise. */
export function createReadiness(): Readiness {
  const reasons = new Set<string>();
  const degraded = new Set<string>();
  const waiting = new Set<() => void>();
  const drained = new AbortController();
  let version = 0;

  function set(reason: string, holds: boolean): void {
    if (reasons.has(reason) === holds) return;
    if (holds) reasons.add(reason);
    else reasons.delete(reason);
    version += 1;
    for (const wake of [...waiting]) wake();
  }

  return {
    reasons: () => [...reasons],
    set,
    degraded: () => [...degraded],
    degrade: (what, holds) => void (holds ? degraded.add(what) : degraded.delete(what)),
    drain: () => {
      set("draining", true);
      drained.abort(new Error("the server is shutting down"));
    },
    get draining() {
      return drained.signal.aborted || reasons.has("draining");
    },
    drainSignal: drained.signal,
    get version() {
      return version;
    },
    changed: (seen, signal) =>
      new Promise((resolve) => {
        const wake = (): void => {
          waiting.delete(wake);
          signal.removeEventListener("abort", wake);
          resolve();
        };
        if (seen !== version || signal.aborted) return resolve();
        waiting.add(wake);
        signal.addEventListener("abort", wake, { once: true });
      }),
  };
}
