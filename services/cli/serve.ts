import { randomBytes } from "node:crypto";
import { type Command, InvalidArgumentError } from "commander";
import type { LoggerOptions } from "pino";
import { readServerConfig, type ServerConfig } from "../config/server-config.ts";
import { variableOf } from "../config/setting.ts";
import { serverSettings } from "../config/settings.ts";
import type { LogLevel } from "../config/shared-settings.ts";
import { createMetricsListener } from "../http/metrics-listener.ts";
import { readTlsFiles } from "../http/tls-files.ts";
import { KeyFileError } from "../keyring/key-file-error.ts";
import { StoreStartError } from "../store/start-error.ts";
import { observeProcess } from "../telemetry/observe-process.ts";
import { startTelemetry } from "../telemetry/start-telemetry.ts";
import { buildId, version } from "../version.ts";
import { WorkersFailed } from "../workers/workers-failed.ts";
import { ownDoor, workersDoor } from "./door.ts";
import { type CliIo, CommandEnd, exitStatus } from "./io.ts";
import { bound, isSystemError } from "./listen-place.ts";
import { atomicWriteMax, isoTimeOf, LogLines } from "./log-lines.ts";
import { reloader } from "./reload.ts";
import { telemetryOptions } from "./telemetry-options.ts";

/** How long SIGTERM waits for calls in flight, in ms; the rest of the ten seconds is for closing. */
export const drainMsMax = 8_000;

/** Adds `serve` and `migrate`. The server's code is loaded when it is to run: client commands start without it. */
export function addServerCommands(program: Command, io: CliIo): void {
  program
    .command("serve")
    .description("run the server until SIGTERM or SIGINT")
    .option("--workers <n>", "processes that take calls on the one port (ICHOR_WORKERS)", parseWorkers)
    .action(({ workers }: { workers?: number }) => tellingStartFaults(() => serve(io, workers)));
  program
    .command("migrate")
    .description("bring the store's schema up to date, and nothing else")
    .action(() => tellingStartFaults(() => migrate(program.opts().json === true, io)));
}

async function serve({ env, stdout, stop, onReload }: CliIo, workers: number | undefined): Promise<void> {
  const read = () => readServerConfig(workers === undefined ? env : { ...env, ICHOR_WORKERS: String(workers) });
  const config = await read();
  const { buildApp, createListener, PrimaryFamily, workerFamily, pino } = await loadServer();
  const worker = workerFamily();
  const several = worker !== undefined || config.workers > 1;
  const lines = new LogLines(stdout, several ? atomicWriteMax : undefined);
  const log = pino(logOptions(config.logLevel), lines);
  // Before anything is made, and with workers in the primary too: a fault is told once.
  const tls = config.tls && readTlsFiles(config.tls);
  const primary = several && !worker ? new PrimaryFamily({ count: config.workers, log }) : undefined;
  let issuer = config.publicUrl ?? "";
  const telemetry = await startTelemetry(telemetryOptions("ichor", config));
  const { meterProvider, tracerProvider, prometheus } = telemetry;
  const processMetrics = observeProcess(meterProvider);
  const tools = { now: Date.now, random: randomBytes, log, issuer: () => issuer };
  const app = await buildApp(config, { ...tools, meterProvider, tracerProvider, family: worker ?? primary });
  const { handler, fastUnary } = app;
  const measure = primary && prometheus ? primary.measure(prometheus) : prometheus;
  const metricsListener = measure && !worker ? createMetricsListener(measure) : undefined;
  try {
    const door = primary
      ? workersDoor(primary)
      : ownDoor(config, { handler, fastUnary, createListener, setting: variableOf("listen"), tls, log });
    processMetrics.observeCertificate(() => door.certificateEnd());
    const metrics =
      metricsListener &&
      config.metricsListen &&
      (await bound(metricsListener, config.metricsListen, variableOf("metricsListen")));
    const url = await door.open();
    issuer ||= url;
    const prepare = async (next: ServerConfig) => {
      const apply = door.prepare(next);
      return () => {
        log.level = next.logLevel;
        app.reload(next);
        apply();
      };
    };
    onReload(reloader(serverSettings, config, { read, prepare, onReload: app.countReload, log }));
    worker?.joined(url, prometheus);
    const ready = { address: url, issuer, ...(primary && { workers: config.workers }), metrics: metrics?.url };
    log[worker ? "debug" : "info"]({ ...ready, version, build: buildId() }, "listening");
    await aborted(stop);
    log.info({}, "draining");
    app.readiness.drain();
    log.info(await door.drain(drainMsMax), "stopped");
  } finally {
    await app.close();
    processMetrics.close();
    await metricsListener?.close();
    await telemetry.close();
    lines.flush();
    worker?.leave();
  }
}

async function loadServer() {
  const [{ buildApp }, { createListener }, { PrimaryFamily }, { workerFamily }, { pino }] = await Promise.all([
    import("../app.ts"),
    import("../http/listener.ts"),
    import("../workers/primary-family.ts"),
    import("../workers/worker-family.ts"),
    import("pino"),
  ]);
  return { buildApp, createListener, PrimaryFamily, workerFamily, pino };
}

function parseWorkers(text: string): number {
  const workers = Number(text);
  if (/^\d{1,3}$/.test(text) && workers >= 1 && workers <= 128) return workers;
  throw new InvalidArgumentError("must be a whole number from 1 to 128");
}

/** One JSON line per event: time as ISO 8601, level by name. */
export function logOptions(level: LogLevel): LoggerOptions {
  return {
    level,
    base: null,
    timestamp: isoTimeOf(Date.now),
    formatters: { level: (label) => ({ level: label }) },
  };
}

async function migrate(json: boolean, { env, stdout }: CliIo): Promise<void> {
  const { migrateStore } = await import("../app.ts");
  const applied = await migrateStore(await readServerConfig(env), { now: Date.now, random: randomBytes });
  const text = applied.length === 0 ? "the schema was up to date" : applied.map((name) => `applied ${name}`).join("\n");
  stdout.write(`${json ? JSON.stringify({ applied }) : text}\n`);
}

/** Tells what an operator can mend in one sentence, without a stack. */
export async function tellingStartFaults(start: () => Promise<void>): Promise<void> {
  try {
    await start();
  } catch (error) {
    const mendable =
      error instanceof StoreStartError ||
      error instanceof KeyFileError ||
      error instanceof WorkersFailed ||
      isSystemError(error);
    throw mendable ? new CommandEnd(exitStatus.failed, error.message) : error;
  }
}

/** Resolves when the signal aborts. */
export function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
