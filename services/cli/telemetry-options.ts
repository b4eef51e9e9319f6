import { randomUUID } from "node:crypto";
import type { ListenAddress } from "../config/kinds.ts";
import type { TelemetryOptions } from "../telemetry/telemetry.ts";
import { version } from "../version.ts";

/** What of a configuration says where metrics and traces go. */
export interface TelemetryConfig {
  readonly metricsListen: ListenAddress | undefined;
  readonly otlpEndpoint: string | undefined;
  readonly traceSampleRatio: number;
}

/** Gives it as options of telemetry, for a process that goes by this name. */
export function telemetryOptions(service: TelemetryOptions["service"], config: TelemetryConfig): TelemetryOptions {
  const { metricsListen, otlpEndpoint, traceSampleRatio } = config;
  return {
    ...{ prometheus: metricsListen !== undefined, otlpEndpoint, traceSampleRatio },
    ...{ service, version, instanceId: randomUUID() },
  };
}
