import { setTimeout as delay } from "node:timers/promises";

const firstDelayMs = 4;
const longestDelayMs = 200;

/**
 * Runs `attempt` until another transaction isn't in its way, at most until `deadlineMs` on the monotonic clock
 * (`performance.now()`); then throws the last conflict. `onRetry` is called before each further attempt.
 */
export async function retryConflicts<T>(
  attempt: () => Promise<T>,
  isConflict: (error: unknown) => boolean,
  deadlineMs: number,
  onRetry: () => void,
): Promise<T> {
  for (let delayMs = firstDelayMs; ; delayMs = Math.min(delayMs * 2, longestDelayMs)) {
    try {
      return await attempt();
    } catch (error) {
      if (!isConflict(error) || performance.now() >= deadlineMs) throw error;
      // Spread over the whole span, so that those that met once don't meet again.
      onRetry();
      await delay(Math.ceil(Math.random() * delayMs));
    }
  }
}
