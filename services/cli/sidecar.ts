import { chmodSync, lstatSync, rmSync } from "node:fs";
import { connect, isIP } from "node:net";
import { type Command, InvalidArgumentError } from "commander";
import { loadClientConfig } from "../config/client-config.ts";
import { type ListenAddress, listenAddress } from "../config/kinds.ts";
import { type LogLevel, logLevels } from "../config/settings.ts";
import { buildId, version } from "../version.ts";
import { isSystemError } from "./door.ts";
import { type CliIo, CommandEnd, exitStatus } from "./io.ts";
import { LogLines } from "./log-lines.ts";
import { aborted, drainMsMax, logOptions } from "./serve.ts";
import { parseSpan } from "./span.ts";

/** Where a side-car listens: an address, or a Unix socket. */
type Place = ListenAddress | { readonly path: string };

interface SidecarCommand {
  readonly upstream: string;
  readonly credentialFile: string;
  readonly audience?: string;
  readonly snapshotFile?: string;
  readonly maxStaleness: ReturnType<typeof parseSpan>;
  readonly listen: Place;
  readonly allowRemote?: boolean;
  readonly credentialHeader?: string;
  readonly clientIpHeader?: string;
  readonly logLevel: LogLevel;
}

/** Adds `sidecar`. */
export function addSidecarCommand(program: Command, io: CliIo): void {
  program
    .command("sidecar")
    .description("verify credentials beside a service, by what a server streams, until SIGTERM or SIGINT")
    .requiredOption("--upstream <url>", "base URL of the server")
    .requiredOption("--credential-file <file>", "file of the side-car's own key; readable by its owner only")
    .option("--audience <audience>", "whose tokens are verified here")
    .option("--snapshot-file <file>", "where the key set is kept for the next start")
    .option("--max-staleness <span>", "how old what is known may be", parseSpan, parseSpan("30s"))
    .option("--listen <place>", "host:port, or unix: and a path", parsePlace, parsePlace("127.0.0.1:8421"))
    .option("--allow-remote", "listen on an address that isn't loopback; whoever reaches it may verify")
    .option("--credential-header <name>", "for gateways: the one header that has the credential", parseHeader)
    .option(
      "--client-ip-header <name>",
      "for gateways: the header in which they tell the client's address",
      parseHeader,
    )
    .option("--log-level <level>", `one of ${logLevels.join(", ")}`, parseLevel, "info")
    .action((options: SidecarCommand) => sidecar(options, io));
}

async function sidecar(options: SidecarCommand, { stdout, stop }: CliIo): Promise<void> {
  const { listen: place, allowRemote, logLevel, audience, snapshotFile, maxStaleness } = options;
  const { url: upstream, credential } = loadClientConfig({
    ICHOR_URL: options.upstream,
    ICHOR_CREDENTIAL_FILE: options.credentialFile,
  });
  if ("host" in place && allowRemote !== true && !isLoopback(place.host)) {
    throw new CommandEnd(
      exitStatus.usage,
      `${place.host} isn't loopback, and a side-car asks its callers for no credential: give --allow-remote if all who reach it may verify`,
    );
  }
  const [{ buildSidecar }, { createListener }, { pino }] = await Promise.all([
    import("../sidecar/build-sidecar.ts"),
    import("../http/listener.ts"),
    import("pino"),
  ]);
  const lines = new LogLines(stdout);
  const log = pino(logOptions(logLevel), lines);
  const built = usable(() =>
    buildSidecar({
      ...{ upstream, credential, log },
      ...(audience !== undefined && { audience }),
      ...(snapshotFile !== undefined && { snapshotFile }),
      maxStaleness: Number(maxStaleness.seconds),
      ...(options.credentialHeader !== undefined && { credentialHeader: options.credentialHeader }),
      ...(options.clientIpHeader !== undefined && { clientIpHeader: options.clientIpHeader }),
    }),
  );
  const { handler, fastUnary, readiness } = built;
  try {
    const listener = createListener({ handler, fastUnary, log });
    const address = await openAt(listener, place);
    log.info({ address, upstream, version, build: buildId() }, "listening");
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
async function openAt(listener: Opening, place: Place): Promise<string> {
  try {
    if ("host" in place) return (await listener.listen(place.host, place.port)).url;
    await removeDeadSocket(place.path);
    await listener.listenAtPath(place.path);
    // Its owner and its group: who may connect is who may verify.
    chmodSync(place.path, 0o660);
    return `unix:${place.path}`;
  } catch (error) {
    if (!isSystemError(error)) throw error;
    throw new CommandEnd(exitStatus.failed, `can't listen (--listen): ${error.message}`);
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

function parsePlace(text: string): Place {
  if (text.startsWith("unix:") && text.length > "unix:".length) return { path: text.slice("unix:".length) };
  try {
    return listenAddress.parse(text);
  } catch (error) {
    throw error instanceof RangeError ? new InvalidArgumentError(`It ${error.message}, or unix:PATH.`) : error;
  }
}

/** Gives the name of a header (RFC 9110 section 5.1) in lower case. */
function parseHeader(text: string): string {
  if (!/^[A-Za-z0-9-]{1,64}$/.test(text)) throw new InvalidArgumentError("Use the name of a header, as X-Real-IP.");
  return text.toLowerCase();
}

function parseLevel(text: string): LogLevel {
  const level = logLevels.find((each) => each === text);
  if (level === undefined) throw new InvalidArgumentError(`Use one of ${logLevels.join(", ")}.`);
  return level;
}

/** Names aren't looked up, but for the one that always means this machine. */
function isLoopback(host: string): boolean {
  if (host === "localhost" || host === "::1") return true;
  return isIP(host) === 4 && host.startsWith("127.");
}
