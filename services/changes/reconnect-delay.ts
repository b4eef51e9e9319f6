const firstMsMax = 200;
const longestMsMax = 5_000;

/** How long to wait before the next attempt after so many failures, in ms: full jitter, so that servers don't come back together. */
export function jitteredDelayMs(failures: number): number {
  return Math.ceil(Math.random() * Math.min(firstMsMax * 2 ** Math.min(failures, 10), longestMsMax));
}
