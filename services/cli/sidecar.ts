import { type Command, Option } from "commander";
import { onOff } from "../config/kinds.ts";
import { flagOf, type Setting } from "../config/setting.ts";
import { readSidecarConfig, type SidecarConfig } from "../config/sidecar-config.ts";
import { type SidecarSetting, sidecarSettings } from "../config/sidecar-settings.ts";
import { createMetricsListener } from "../http/metrics-listener.ts";
import { readClientTlsFiles, readTlsFiles } from "../http/tls-files.ts";
import { observeProcess } from "../telemetry/observe-process.ts";
import { startTelemetry } from "../telemetry/start-telemetry.ts";
import { tracingBy } from "../telemetry/tracing.ts";
import { buildId, version } from "../version.ts";
import { ownDoor } from "./door.ts";
import { type CliIo, CommandEnd, exitStatus } from "./io.ts";
import { bound } from "./listen-place.ts";
import { LogLines } from "./log-lines.ts";
import { reloader } from "./reload.ts";
import { aborted, drainMsMax, logOptions, tellingStartFaults } from "./serve.ts";
import { telemetryOptions } from "./telemetry-options.ts";

/** The settings that the command line gives, as text; switches as true. */
type Flags = Readonly<Partial<Record<SidecarSetting, string | true>>>;

/** Adds `sidecar`. */
export function addSidecarCommand(program: Command, io: CliIo): void {
  const command = program
    .command("sidecar")
    .description("verify credentials beside a service, by what a server streams, until SIGTERM or SIGINT")
    .action((flags: Flags) => tellingStartFaults(() => sidecar(flags, io)));
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
  const tls = config.tls && readTlsFiles(config.tls);
  const upstreamCertificates = config.upstreamTls && readClientTlsFiles(config.upstreamTls);
  const relayTls = config.relay?.tls && readTlsFiles(config.relay.tls);
  const telemetry = await startTelemetry(telemetryOptions("ichor-sidecar", config));
  const { meterProvider, prometheus } = telemetry;
  const { traceCall } = await tracingBy(telemetry.tracerProvider);
  const processMetrics = observeProcess(meterProvider);
  const built = usable(() =>
    buildSidecar({ ...config, relay: config.relay !== undefined, upstreamCertificates, meterProvider, traceCall, log }),
  );
  const metricsListener = prometheus && createMetricsListener(prometheus);
  const { handler, fastUnary, readiness, relay } = built;
  try {
    const door = ownDoor(config, { createListener, setting: flagOf("listen"), handler, fastUnary, tls, log });
    processMetrics.observeCertificate(() => door.certificateEnd());
    const metrics =
      metricsListener &&
      config.metricsListen &&
      (await bound(metricsListener, config.metricsListen, flagOf("metricsListen")));
    const address = await door.open();
    const relayDoor =
      relay &&
      config.relay &&
      ownDoor(config.relay, { createListener, setting: flagOf("relayListen"), ...relay, tls: relayTls, log });
    const relayAddress = await relayDoor?.open();
    const prepare = async (next: SidecarConfig) => {
      const apply = door.prepare(next);
      const applyToRelay = next.relay && relayDoor?.prepare(next.relay);
      // No setting, as the contents of all files.
      const { credential } = await read();
      const renewed = next.upstreamTls && readClientTlsFiles(next.upstreamTls);
      return () => {
        log.level = next.logLevel;
        built.renewUpstream(credential, renewed);
        apply();
        applyToRelay?.();
      };
    };
    onReload(reloader(sidecarSettings, config, { read, prepare, onReload: built.countReload, log }));
    const { upstream, audience } = config;
    log.info(
      { address, relay: relayAddress, metrics: metrics?.url, upstream, audience, version, build: buildId() },
      "listening",
    );
    await aborted(stop);
    log.info({}, "draining");
    readiness.drain();
    const [drained] = await Promise.all([door.drain(drainMsMax), relayDoor?.drain(drainMsMax)]);
    log.info(drained, "stopped");
  } finally {
    await built.close();
    processMetrics.close();
    await metricsListener?.close();
    await telemetry.close();
    lines.flush();
  }
}

function usable<T>(build: () => T): T {
  try {
    return build();
  } catch (error) {
    throw error instanceof TypeError ? new CommandEnd(exitStatus.usage, error.message) : error;
  }
}
