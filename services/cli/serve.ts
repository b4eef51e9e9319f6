import { randomBytes } from "node:crypto";
import type { Command } from "commander";
import type { LoggerOptions } from "pino";
import type { ListenAddress } from "../config/kinds.ts";
import { readServerConfig } from "../config/server-config.ts";
import type { LogLevel } from "../config/settings.ts";
import type { Listener } from "../http/listener.ts";
import { readTlsFiles } from "../http/tls-files.ts";
import { KeyFileError } from "../keyring/key-file-error.ts";
import { StoreStartError } from "../store/start-error.ts";
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
  const app = await buildApp(config, { now: Date.now, random: randomBytes, log, issuer: () => issuer });
  try {
    const listener = createListener({ handler: app.handler, fastUnary: app.fastUnary, ...(tls && { tls }), log });
    const url = await listenAt(listener, config.listen);
    issuer ||= url;
    onReload(
      reloader(config, {
        read: () => readServerConfig(env),
        prepare: async (next) => {
          const renewed = next.tls && readTlsFiles(next.tls);
          return () => {
            log.level = next.logLevel;
            if (renewed) listener.renewTls(renewed);
            app.reload(next);
          };
        },
        onReload: app.countReload,
        log,
      }),
    );
    log.info({ address: url, issuer }, "listening");
    await aborted(stop);
    log.info({}, "draining");
    app.readiness.drain();
    const { cut } = await listener.drain(drainMsMax);
    log.info({ cut }, "stopped");
  } finally {
    await app.close();
    lines.flush();
  }
}

async function loadServer() {
  const [app, listener, logger] = await Promise.all([
    import("../app.ts"),
    import("../http/listener.ts"),
    import("pino"),
  ]);
  return { buildApp: app.buildApp, createListener: listener.createListener, pino: logger.pino };
}

/** Gives the URL. An address that can't be had is told as what it is: a matter of the configuration. */
async function listenAt(listener: Listener, { host, port }: ListenAddress): Promise<string> {
  try {
    return (await listener.listen(host, port)).url;
  } catch (error) {
    if (!isSystemError(error)) throw error;
    throw new CommandEnd(exitStatus.failed, `can't listen on ${host} port ${port} (ICHOR_LISTEN): ${error.message}`);
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
