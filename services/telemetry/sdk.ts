import { context } from "@opentelemetry/api";
import { AsyncLocalStorageContextManager } from "@opentelemetry/context-async-hooks";
import {
  defaultResource,
  detectResources,
  envDetector,
  type Resource,
  resourceFromAttributes,
} from "@opentelemetry/resources";
import { MeterProvider, type MetricReader, PeriodicExportingMetricReader } from "@opentelemetry/sdk-metrics";
import type { TracerProvider } from "@opentelemetry/sdk-trace";
import type { Telemetry, TelemetryOptions } from "./telemetry.ts";

/** How often metrics are sent to a collector, in ms. */
const exportIntervalMs = 15_000;
/** How long the last sending may take at the end, in ms. */
const closeMsMax = 2_000;

/** OpenTelemetry's SDK as the options ask for; only what they need of it is loaded. */
export async function startSdk(options: TelemetryOptions): Promise<Telemetry> {
  const { otlpEndpoint } = options;
  const resource = resourceOf(options);
  const prometheus = options.prometheus ? await prometheusReader() : undefined;
  const readers: MetricReader[] = prometheus ? [prometheus.reader] : [];
  if (otlpEndpoint !== undefined) readers.push(await otlpReader(otlpEndpoint));
  const meterProvider = new MeterProvider({ resource, readers });
  const tracerProvider = otlpEndpoint === undefined ? undefined : await tracing(otlpEndpoint, resource, options);
  return {
    meterProvider,
    tracerProvider,
    prometheus: prometheus?.text,
    async close() {
      const ended = Promise.allSettled([meterProvider.shutdown(), tracerProvider?.shutdown()]);
      await Promise.race([ended, new Promise((resolve) => setTimeout(resolve, closeMsMax).unref())]);
    },
  };
}

/** Who tells: what the standard variables OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES say rules. */
function resourceOf({ service, version, instanceId }: TelemetryOptions): Resource {
  const own = resourceFromAttributes({
    "service.name": service,
    "service.version": version,
    "service.instance.id": instanceId,
  });
  return defaultResource()
    .merge(own)
    .merge(detectResources({ detectors: [envDetector] }));
}

async function prometheusReader() {
  const { PrometheusExporter, PrometheusSerializer } = await import("@opentelemetry/exporter-prometheus");
  const reader = new PrometheusExporter({ preventServerStart: true });
  const serializer = new PrometheusSerializer(undefined, false, undefined, undefined, true);
  const text = async () => {
    const { resourceMetrics, errors } = await reader.collect();
    if (errors.length > 0) throw errors[0];
    return serializer.serialize(resourceMetrics);
  };
  return { reader, text };
}

/** Headers, certificates, compression and time limit: the exporter's own, by the standard variables OTEL_EXPORTER_OTLP_…. */
async function otlpReader(endpoint: string): Promise<MetricReader> {
  const { OTLPMetricExporter } = await import("@opentelemetry/exporter-metrics-otlp-proto");
  return new PeriodicExportingMetricReader({
    exporter: new OTLPMetricExporter({ url: `${endpoint}/v1/metrics` }),
    exportIntervalMillis: exportIntervalMs,
  });
}

/** A caller's decision to record a trace is followed; of those that begin here, the part that is asked for is recorded. */
async function tracing(
  endpoint: string,
  resource: Resource,
  { traceSampleRatio }: TelemetryOptions,
): Promise<TracerProvider> {
  const { BatchSpanProcessor, ParentBasedSampler, TraceIdRatioBasedSampler, TracerProvider } = await import(
    "@opentelemetry/sdk-trace"
  );
  const { OTLPTraceExporter } = await import("@opentelemetry/exporter-trace-otlp-proto");
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
  return new TracerProvider({
    resource,
    sampler: new ParentBasedSampler({ root: new TraceIdRatioBasedSampler(traceSampleRatio) }),
    spanProcessors: [new BatchSpanProcessor({ exporter: new OTLPTraceExporter({ url: `${endpoint}/v1/traces` }) })],
  });
}
