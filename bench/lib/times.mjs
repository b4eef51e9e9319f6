/** Does something, and puts how long it took into the list, in ms. */
export async function timed(list, work) {
  const begunMs = performance.now();
  const result = await work();
  list.push(performance.now() - begunMs);
  return result;
}

/** What such a list says. */
export function summaryOf(list) {
  const sorted = [...list].sort((x, y) => x - y);
  const at = (share) => Number(sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))].toFixed(1));
  return { "p50 ms": at(0.5), "p99 ms": at(0.99), "max ms": at(1) };
}
