import { randomBytes, randomUUID } from "node:crypto";
import type { Command } from "commander";
import type { LoggerOptions } from "pino";
import type { ListenAddress } from "../config/kinds.ts";
import { readServerConfig, type ServerConfig } from "../config/server-config.ts";
import { type LogLevel, type ServerSetting, variableOf } from "../config/settings.ts";
import { createMetricsListener } from "../http/metrics-listener.ts";
import { readTlsFiles } from "../http/tls-files.ts";
import { KeyFileError } from "../keyring/key-file-error.ts";
import { StoreStartError } from "../store/start-error.ts";
import { observeProcess } from "../telemetry/observe-process.ts";
import { startTelemetry } from "../telemetry/start-telemetry.ts";
import type { TelemetryOptions } from "../telemetry/telemetry.ts";
import { buildId, version } from "../version.ts";
import { type CliIo, CommandEnd, exitStatus } from "./io.ts";
import { isoTimeOf, LogLines } from "./log-lines.ts";
import { reloader } from "./reload.ts";

/** How long SIGTERM waits for calls in flight, in ms; the rest of the ten seconds is for closing. */
const drainMsMax = 8_000;

/** Adds `serve` and `migrate`. The server's code is loaded when it is to run: client commands start without it. */
export function addServerCommands(program: Command, io: CliIo): void {
  program
    .command("serve")
    .description("run the server until SIGTERM or SIGINT")
    .action(() => tellingStartFaults(() => serve(io)));
  program
    .command("migrate")
    .description("bring the store's schema up to date, and nothing else")
    .action(() => tellingStartFaults(() => migrate(program.opts().json === true, io)));
}

async function serve({ env, stdout, stop, onReload }: CliIo): Promise<void> {
  const config = await readServerConfig(env);
  const { buildApp, createListener, pino } = await loadServer();
  const lines = new LogLines(stdout);
  const log = pino(logOptions(config.logLevel), lines);
  const tls = config.tls && readTlsFiles(config.tls);
  let issuer = config.publicUrl ?? "";
  const telemetry = await startTelemetry(telemetryOptions(config));
  const { meterProvider, tracerProvider } = telemetry;
  const processMetrics = observeProcess(meterProvider);
  const tools = { now: Date.now, random: randomBytes, log, issuer: () => issuer };
  const app = await buildApp(config, { ...tools, meterProvider, tracerProvider });
  const metricsListener = telemetry.prometheus && createMetricsListener(telemetry.prometheus);
  try {
    const listener = createListener({ handler: app.handler, fastUnary: app.fastUnary, ...(tls && { tls }), log });
    const metrics =
      metricsListener && config.metricsListen && (await bound(metricsListener, config.metricsListen, "metricsListen"));
    const { url } = await bound(listener, config.listen, "listen");
    issuer ||= url;
    const prepare = async (next: ServerConfig) => {
      const renewed = next.tls && readTlsFiles(next.tls);
      return () => {
        log.level = next.logLevel;
        if (renewed) listener.renewTls(renewed);
        app.reload(next);
      };
    };
    onReload(reloader(config, { read: () => readServerConfig(env), prepare, onReload: app.countReload, log }));
    log.info({ address: url, issuer, metrics: metrics?.url, version, build: buildId() }, "listening");
    await aborted(stop);
    log.info({}, "draining");
    app.readiness.drain();
    const { cut } = await listener.drain(drainMsMax);
    log.info({ cut }, "stopped");
  } finally {
    await app.close();
    processMetrics.close();
    await metricsListener?.close();
    await telemetry.close();
    lines.flush();
  }
}

function telemetryOptions({ metricsListen, otlpEndpoint, traceSampleRatio }: ServerConfig): TelemetryOptions {
  const instanceId = randomUUID();
  return { prometheus: metricsListen !== undefined, otlpEndpoint, traceSampleRatio, version, instanceId };
}

async function loadServer() {
  const [app, listener, logger] = await Promise.all([
    import("../app.ts"),
    import("../http/listener.ts"),
    import("pino"),
  ]);
  return { buildApp: app.buildApp, createListener: listener.createListener, pino: logger.pino };
}

/** Listens. An address that can't be had is told as what it is: a matter of the configuration. */
async function bound(
  listener: { listen(host: string, port: number): Promise<{ readonly url: string }> },
  { host, port }: ListenAddress,
  setting: ServerSetting,
): Promise<{ readonly url: string }> {
  try {
    return await listener.listen(host, port);
  } catch (error) {
    if (!isSystemError(error)) throw error;
    const sentence = `can't listen on ${host} port ${port} (${variableOf(setting)}): ${error.message}`;
    throw new CommandEnd(exitStatus.failed, sentence);
  }
}

/** One JSON line per event: time as ISO 8601, level by name. */
function logOptions(level: LogLevel): LoggerOptions {
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
    const mendable = error instanceof StoreStartError || error instanceof KeyFileError || isSystemError(error);
    throw mendable ? new CommandEnd(exitStatus.failed, error.message) : error;
  }
}

/** An error of the operating system, as EADDRINUSE or ENOENT. */
function isSystemError(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && "syscall" in error;
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
