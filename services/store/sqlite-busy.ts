import { setTimeout as delay } from "node:timers/promises";

const firstDelayMs = 1;
const longestDelayMs = 25;

/**
 * Runs `attempt` until it isn't refused because another connection holds a lock, at most until `deadlineMs` on the
 * monotonic clock (`performance.now()`); then throws the last refusal. The event loop stays free meanwhile, which
 * SQLite's own busy timeout wouldn't let it.
 */
export async function retryBusy<T>(attempt: () => T, deadlineMs: number): Promise<T> {
  for (let delayMs = firstDelayMs; ; delayMs = Math.min(delayMs * 2, longestDelayMs)) {
    try {
      return attempt();
    } catch (error) {
      if (!isBusy(error) || performance.now() >= deadlineMs) throw error;
      // Spread, so that processes that were refused together don't come back together.
      await delay(Math.ceil(delayMs * (0.5 + Math.random() / 2)));
    }
  }
}

/** Whether SQLite refused because another connection holds a lock. */
export function isBusy(error: unknown): boolean {
  return /^SQLITE_(BUSY|LOCKED)/.test(sqliteCode(error));
}

/** The extended result code of better-sqlite3's errors, as `SQLITE_BUSY_SNAPSHOT`; empty for other errors. */
export function sqliteCode(error: unknown): string {
  if (!(error instanceof Error) || !("code" in error) || typeof error.code !== "string") return "";
  return error.code.startsWith("SQLITE_") ? error.code : "";
}
