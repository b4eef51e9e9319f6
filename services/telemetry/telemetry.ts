import type { MeterProvider, TracerProvider } from "@opentelemetry/api";

/** Where a process tells its metrics and traces. */
export interface Telemetry {
  /** undefined: metrics go nowhere. */
  readonly meterProvider: MeterProvider | undefined;
  /** undefined: nothing is traced. */
  readonly tracerProvider: TracerProvider | undefined;
  /** Gives the metrics in Prometheus' text; undefined unless it was asked for. */
  readonly prometheus: (() => Promise<string>) | undefined;
  /** Sends what waits, within a bounded time, and ends. Never rejects. */
  close(): Promise<void>;
}

export interface TelemetryOptions {
  /** Whether metrics are to be read in Prometheus' text. */
  readonly prometheus: boolean;
  /** Base URL of a collector that takes OTLP over HTTP; undefined: none. */
  readonly otlpEndpoint: string | undefined;
  /** Which part of the traces that begin here is recorded, from 0 to 1. */
  readonly traceSampleRatio: number;
  /** `service.name`, unless the environment says another. */
  readonly service: "ichor" | "ichor-sidecar";
  readonly version: string;
  /** Tells this process from others of the service. */
  readonly instanceId: string;
}
