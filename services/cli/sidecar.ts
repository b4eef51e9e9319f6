import { chmodSync, lstatSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { type Command, Option } from "commander";
import { onOff } from "../config/kinds.ts";
import { flagOf, type Setting } from "../config/setting.ts";
import { readSidecarConfig, type SidecarConfig } from "../config/sidecar-config.ts";
import { type SidecarSetting, sidecarSettings } from "../config/sidecar-settings.ts";
import { buildId, version } from "../version.ts";
import { isSystemError } from "./door.ts";
import { type CliIo, CommandEnd, exitStatus } from "./io.ts";
import { LogLines } from "./log-lines.ts";
import { reloader } from "./reload.ts";
import { aborted, drainMsMax, logOptions } from "./serve.ts";

/** The settings that the command line gives, as text; switches as true. */
type Flags = Readonly<Partial<Record<SidecarSetting, string | true>>>;

/** Adds `sidecar`. */
export function addSidecarCommand(program: Command, io: CliIo): void {
  const command = program
    .command("sidecar")
    .description("verify credentials beside a service, by what a server streams, until SIGTERM or SIGINT")
    .action((flags: Flags) => sidecar(flags, io));
  for (const [name, setting] of Object.entries(sidecarSettings)) command.addOption(optionOf(name, setting));
}

/** A setting as an option. What it is worth isn't looked at here, so that its faults are told with all others. */
function optionOf(name: string, { kind, description, fallback }: Setting<unknown>): Option {
  const flag = kind === onOff ? flagOf(name) : `${flagOf(name)} <value>`;
  return new Option(flag, `${description} Default: ${fallback}.`.replaceAll("`", ""));
}

async function sidecar(flags: Flags, { env, stdout, stop, onReload }: CliIo): Promise<void> {
  const given = Object.entries(flags).map(([name, value]) => [name, value === true ? "on" : value] as const);
  const read = () => readSidecarConfig({ flags: Object.fromEntries(given), env });
  const config = await read();
  const [{ buildSidecar }, { createListener }, { pino }] = await Promise.all([
    import("../sidecar/build-sidecar.ts"),
    import("../http/listener.ts"),
    import("pino"),
  ]);
  const lines = new LogLines(stdout);
  const log = pino(logOptions(config.logLevel), lines);
  const built = usable(() => buildSidecar({ ...config, log }));
  const { handler, fastUnary, readiness } = built;
  try {
    const listener = createListener({ handler, fastUnary, log });
    const address = await openAt(listener, config.listen);
    const prepare = async (next: SidecarConfig) => () => {
      log.level = next.logLevel;
    };
    onReload(reloader(sidecarSettings, config, { read, prepare, onReload: () => {}, log }));
    log.info({ address, upstream: config.upstream, version, build: buildId() }, "listening");
    await aborted(stop);
    log.info({}, "draining");
    readiness.drain();
    log.info(await listener.drain(drainMsMax), "stopped");
  } finally {
    await built.close();
    lines.flush();
  }
}

interface Opening {
  listen(host: string, port: number): Promise<{ readonly url: string }>;
  listenAtPath(path: string): Promise<void>;
}

/** Listens, and gives where, as text. */
async function openAt(listener: Opening, place: SidecarConfig["listen"]): Promise<string> {
  try {
    if ("host" in place) return (await listener.listen(place.host, place.port)).url;
    await removeDeadSocket(place.path);
    await listener.listenAtPath(place.path);
    // Its owner and its group: who may connect is who may verify.
    chmodSync(place.path, 0o660);
    return `unix:${place.path}`;
  } catch (error) {
    if (!isSystemError(error)) throw error;
    throw new CommandEnd(exitStatus.failed, `can't listen (${flagOf("listen")}): ${error.message}`);
  }
}

/** What a killed side-car left: a socket that nobody answers on. Anything else is left alone. */
async function removeDeadSocket(path: string): Promise<void> {
  if (lstatSync(path, { throwIfNoEntry: false })?.isSocket() !== true) return;
  const refused = await new Promise<boolean>((resolve) => {
    const socket = connect(path);
    socket.once("connect", () => {
      socket.destroy();
      resolve(false);
    });
    socket.once("error", (error: NodeJS.ErrnoException) => resolve(error.code === "ECONNREFUSED"));
  });
  if (refused) rmSync(path);
}

function usable<T>(build: () => T): T {
  try {
    return build();
  } catch (error) {
    throw error instanceof TypeError ? new CommandEnd(exitStatus.usage, error.message) : error;
  }
}
