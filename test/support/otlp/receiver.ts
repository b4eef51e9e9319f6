import { createServer, type IncomingHttpHeaders } from "node:http";
import type { AddressInfo } from "node:net";
import protobuf from "protobufjs";

/** A span as a collector sees it. */
export interface ReceivedSpan {
  readonly name: string;
  /** Hex; empty: it has none. */
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId: string;
  /** 2: server, 3: client. */
  readonly kind: number;
  readonly attributes: Readonly<Record<string, unknown>>;
  /** 2: an error. */
  readonly status: number;
  readonly traceState: string;
  /** What its process says of itself. */
  readonly resource: Readonly<Record<string, unknown>>;
}

/** The receiving side of OTLP over HTTP with protobuf, on a port of its own. */
export interface OtlpReceiver {
  readonly url: string;
  readonly spans: readonly ReceivedSpan[];
  /** Names of the metrics that came. */
  readonly metrics: ReadonlySet<string>;
  /** Everything that came, as bytes. */
  readonly bodies: readonly Buffer[];
  /** Of the last request. */
  readonly headers: IncomingHttpHeaders;
  close(): void;
}

interface KeyValue {
  readonly key: string;
  readonly value?: Readonly<Record<string, unknown>>;
}

export async function startOtlpReceiver(): Promise<OtlpReceiver> {
  const root = await protobuf.load(new URL("otlp.proto", import.meta.url).pathname);
  const traces = root.lookupType("otlp.TracesRequest");
  const metricsRequest = root.lookupType("otlp.MetricsRequest");
  const decode = (type: protobuf.Type, body: Buffer) =>
    type.toObject(type.decode(body), { longs: String, defaults: true });
  const spans: ReceivedSpan[] = [];
  const metrics = new Set<string>();
  const bodies: Buffer[] = [];
  let headers: IncomingHttpHeaders = {};
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const body = Buffer.concat(chunks);
      bodies.push(body);
      headers = request.headers;
      if (request.url === "/v1/traces") {
        for (const { resource, scopeSpans } of decode(traces, body).resourceSpans)
          for (const { spans: sent } of scopeSpans) spans.push(...sent.map((span: never) => spanOf(span, resource)));
      } else {
        for (const { scopeMetrics } of decode(metricsRequest, body).resourceMetrics)
          for (const { metrics: sent } of scopeMetrics) for (const { name } of sent) metrics.add(name);
      }
      response.setHeader("content-type", "application/x-protobuf");
      response.end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    spans,
    metrics,
    bodies,
    get headers() {
      return headers;
    },
    close() {
      server.close();
      server.closeAllConnections();
    },
  };
}

function spanOf(
  span: Readonly<Record<"traceId" | "spanId" | "parentSpanId", Uint8Array>> &
    Readonly<{
      name: string;
      kind: number;
      attributes: KeyValue[];
      status: { code: number } | null;
      traceState: string;
    }>,
  resource: { readonly attributes: KeyValue[] },
): ReceivedSpan {
  const { name, kind, attributes, status, traceState } = span;
  return {
    ...{ name, kind, traceState, status: status?.code ?? 0 },
    traceId: hex(span.traceId),
    spanId: hex(span.spanId),
    parentSpanId: hex(span.parentSpanId),
    attributes: recordOf(attributes),
    resource: recordOf(resource.attributes),
  };
}

function recordOf(attributes: readonly KeyValue[]): Record<string, unknown> {
  return Object.fromEntries(attributes.map(({ key, value = {} }) => [key, Object.values(value)[0]]));
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}
