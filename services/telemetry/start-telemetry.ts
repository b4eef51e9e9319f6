import type { Telemetry, TelemetryOptions } from "./telemetry.ts";

/** Starts what is asked for. OpenTelemetry's SDK takes 17 MB and 0.1 s: it is loaded only if anything is. */
export async function startTelemetry(options: TelemetryOptions): Promise<Telemetry> {
  if (!options.prometheus && options.otlpEndpoint === undefined) {
    return { meterProvider: undefined, tracerProvider: undefined, prometheus: undefined, close: async () => {} };
  }
  const { startSdk } = await import("./sdk.ts");
  return startSdk(options);
}
