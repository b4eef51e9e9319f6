import type { TracerProvider } from "@opentelemetry/api";
import type { TraceCall } from "../rpc/call-trace.ts";
import type { StoreStep } from "../store/deps.ts";

/** What follows calls and their steps; empty: nothing is traced. */
export interface Tracing {
  readonly traceCall?: TraceCall;
  readonly step?: StoreStep;
}

/** Makes it of a provider, if there is one: OpenTelemetry's API is loaded only then. */
export async function tracingBy(provider: TracerProvider | undefined): Promise<Tracing> {
  if (provider === undefined) return {};
  const { traceCalls, traceSteps } = await import("./trace-calls.ts");
  return { traceCall: traceCalls(provider), step: traceSteps(provider) };
}
