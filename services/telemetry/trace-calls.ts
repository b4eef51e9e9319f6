import {
  type Context,
  context,
  createTraceState,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  SpanStatusCode,
  TraceFlags,
  type TracerProvider,
  trace,
} from "@opentelemetry/api";
import { parseTraceparent } from "../core/traceparent.ts";
import type { Carrier } from "../rpc/call.ts";
import type { CallRecord } from "../rpc/call-record.ts";
import type { CallTrace, TraceCall } from "../rpc/call-trace.ts";
import type { StoreStep } from "../store/deps.ts";
import { errorTypeOf, statusNameOf } from "./call-status.ts";
import { scopeName } from "./metrics.ts";

/** Each call as a span, in the trace that its caller names. Its attributes are ids, codes and addresses: what the log has. */
export function traceCalls(provider: TracerProvider): TraceCall {
  const tracer = provider.getTracer(scopeName);
  return (method, carrier) => {
    const options = { kind: SpanKind.SERVER, attributes: { "rpc.method": method } };
    return new SpanOfCall(tracer.startSpan(method, options, parentOf(carrier)));
  };
}

/** Longest `tracestate` that is passed on, in characters; W3C Trace Context section 3.3.1.5 asks for 512 at least. */
const traceStateCharsMax = 512;

function parentOf(carrier: Carrier): Context {
  const remote = parseTraceparent(carrier.header("traceparent"));
  if (remote === undefined) return ROOT_CONTEXT;
  const { traceId, spanId, sampled } = remote;
  const traceFlags = sampled ? TraceFlags.SAMPLED : TraceFlags.NONE;
  const state = carrier.header("tracestate") ?? "";
  const traceState = state !== "" && state.length <= traceStateCharsMax ? createTraceState(state) : undefined;
  const parent = { traceId, spanId, traceFlags, isRemote: true, ...(traceState && { traceState }) };
  return trace.setSpanContext(ROOT_CONTEXT, parent);
}

class SpanOfCall implements CallTrace {
  readonly traceId: string;
  readonly #span: Span;

  constructor(span: Span) {
    this.#span = span;
    this.traceId = span.spanContext().traceId;
  }

  run<T>(work: () => T): T {
    // What isn't recorded has no steps either, and needs no context, which costs each promise.
    return this.#span.isRecording() ? context.with(trace.setSpan(ROOT_CONTEXT, this.#span), work) : work();
  }

  end({ system, caller, tenantId, peerAddress, failure }: CallRecord): void {
    const span = this.#span;
    if (span.isRecording()) {
      span.setAttribute("rpc.system.name", system);
      span.setAttribute("rpc.response.status_code", failure === undefined ? "OK" : statusNameOf(failure.error.code));
      span.setAttribute("client.address", peerAddress);
      if (caller !== undefined) span.setAttribute("ichor.key_id", caller.keyId);
      if (tenantId !== undefined) span.setAttribute("ichor.tenant_id", tenantId);
      if (failure !== undefined) {
        span.setAttribute("error.type", errorTypeOf(failure));
        // What the caller did wrong is no error of the server. Messages stay out: they may quote the request.
        if (failure.level === "error") span.setStatus({ code: SpanStatusCode.ERROR });
      }
    }
    span.end();
  }
}

/** Makes steps that are children of the span under way; without one there is no step. */
export function traceSteps(provider: TracerProvider): StoreStep {
  const tracer = provider.getTracer(scopeName);
  return async (name, work) => {
    if (trace.getActiveSpan() === undefined) return work();
    const span = tracer.startSpan(name, { kind: SpanKind.CLIENT });
    try {
      return await context.with(trace.setSpan(context.active(), span), work);
    } catch (error) {
      span.setStatus({ code: SpanStatusCode.ERROR });
      if (error instanceof Error) span.setAttribute("error.type", error.name);
      throw error;
    } finally {
      span.end();
    }
  };
}
