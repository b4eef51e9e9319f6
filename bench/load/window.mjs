import { performance } from "node:perf_hooks";

const latenciesMax = 1_000_000;

/** Never sleeps: to wake a sleeping client costs the server, and the slower server would wake it more often. */
function spin() {
  setImmediate(spin);
}

/**
 * Runs a load generator: takes its job from the parent, lets `start(job, oneDone, failed)` send requests for ever, tells
 * the parent when the measured window begins and what it held when it ended.
 */
export function runWindow(start) {
  process.once("message", (job) => {
    const failures = [];
    const latenciesMs = new Float64Array(latenciesMax);
    let requests = 0;
    let beginMs = Number.POSITIVE_INFINITY;
    const oneDone = (sentMs) => {
      const nowMs = performance.now();
      if (nowMs < beginMs) return;
      latenciesMs[requests % latenciesMax] = nowMs - sentMs;
      requests++;
    };
    const failed = (what) => {
      if (failures.push(String(what)) === 1) end();
    };
    const end = () => {
      const elapsedMs = performance.now() - beginMs;
      process.send({
        requests,
        elapsedMs,
        failures,
        latenciesMs: latenciesMs.slice(0, Math.min(requests, latenciesMax)),
      });
    };
    start(job, oneDone, failed);
    spin();
    setTimeout(() => {
      if (failures.length > 0) return;
      process.send("begin");
      beginMs = performance.now();
      setTimeout(end, job.durationMs);
    }, job.warmUpMs);
  });
}
