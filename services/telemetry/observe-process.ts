import { monitorEventLoopDelay, performance } from "node:perf_hooks";
import type { MeterProvider } from "@opentelemetry/api";
import { Metrics } from "./metrics.ts";

/** How often the event loop's delay is sampled, in ms. */
const sampleMs = 20;

/** What is measured of a process, until it is closed. */
export interface ProcessMetrics {
  /** Also when its certificate ends, in s since the epoch; undefined: it has none. */
  observeCertificate(end: () => number | undefined): void;
  close(): void;
}

/** Lets a provider of metrics, if there is one, read what the process takes. */
export function observeProcess(provider: MeterProvider | undefined): ProcessMetrics {
  if (provider === undefined) return { observeCertificate() {}, close() {} };
  const metrics = new Metrics(provider);
  metrics.observe("process.cpu.time", { "cpu.mode": "user" }, () => process.cpuUsage().user / 1e6);
  metrics.observe("process.cpu.time", { "cpu.mode": "system" }, () => process.cpuUsage().system / 1e6);
  metrics.observe("process.memory.usage", {}, () => process.memoryUsage.rss());
  metrics.observe("process.uptime", {}, () => process.uptime());
  metrics.observe("v8js.memory.heap.used", {}, () => process.memoryUsage().heapUsed);

  let before = performance.eventLoopUtilization();
  metrics.observe("nodejs.eventloop.utilization", {}, () => {
    const now = performance.eventLoopUtilization();
    const { utilization } = performance.eventLoopUtilization(now, before);
    before = now;
    return utilization;
  });
  const delay = monitorEventLoopDelay({ resolution: sampleMs });
  delay.enable();
  metrics.observe("nodejs.eventloop.delay.p99", {}, () => secondsOf(delay.percentile(99)));
  metrics.observe("nodejs.eventloop.delay.max", {}, () => {
    const max = secondsOf(delay.max);
    delay.reset();
    return max;
  });
  return {
    observeCertificate: (end) => metrics.observe("ichor.tls.certificate.expiry", {}, end),
    close() {
      metrics.close();
      delay.disable();
    },
  };
}

/** The histogram counts from one sample to the next, in ns. */
function secondsOf(nanoseconds: number): number {
  return Math.max(0, nanoseconds / 1e9 - sampleMs / 1e3);
}
