import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from "node:http";
import type { ServerHttp2Stream } from "node:http2";
import { type MethodRegistry, openRequestBytesMax, type UnaryMethod } from "../rpc/method-registry.ts";
import { addressOf, endUnreadStream } from "../rpc/node-handler.ts";
import { envelopeBytes } from "../rpc/request-message.ts";
import { FastCall, type FastCallDeps, type FastRoute } from "./fast-call.ts";
import { createFastStream } from "./fast-stream.ts";
import { isPlainHost, peerAddressOf } from "./http2-peer.ts";
import { UnaryCarrier } from "./unary-carrier.ts";
import { type UnaryAnswer, type UnaryProtocol, unaryProtocols } from "./unary-protocols.ts";

/** Serves a request if it is a plain call of a hot method, or over HTTP/2 of a streaming one; false: it isn't, and nothing of it was touched. */
export interface FastUnary {
  http1(request: IncomingMessage, response: ServerResponse): boolean;
  http2(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): boolean;
}

export interface FastUnaryDeps extends FastCallDeps {
  readonly registry: MethodRegistry;
}

/** A call that the fast path takes. */
interface PlainCall {
  readonly route: FastRoute;
  readonly timeoutMs: number | undefined;
}

/**
 * Calls of hot methods straight on Node's HTTP servers, in Connect, gRPC and gRPC-Web: the same methods, pipeline and
 * error boundary as behind connect-node, for a tenth of its cost. Only what is plain is taken: POST to the exact path, a
 * common content type, no compression, a length that is allowed. Everything else is connect-node's, before a byte of the
 * body is read; a test holds the answers of both equal.
 */
export function createFastUnary({ registry, pipeline, log }: FastUnaryDeps): FastUnary {
  const deps = { pipeline, log };
  const hot = [...registry.unary.values()].filter(({ hot }) => hot !== undefined);
  const streamed = createFastStream({ registry, pipeline, log });
  const routes = new Map(hot.map((method) => [`/${method.name}`, routesOf(method)]));

  function plainCall(
    path: string | undefined,
    headers: IncomingHttpHeaders,
    host: string | undefined,
  ): PlainCall | undefined {
    const route = routes.get(path ?? "")?.get(headers["content-type"] ?? "");
    if (route === undefined) return undefined;
    const { protocol, limits } = route;
    const encoding = headers[protocol.encodingHeader];
    if (encoding !== undefined && encoding !== "identity") return undefined;
    // Browsers' calls may need headers that are no concern of this path.
    if (headers.origin !== undefined || !isPlainHost(host)) return undefined;
    if (Number(headers["content-length"] ?? 0) > limits.bodyBytesMax) return undefined;
    const timeout = headers[protocol.timeoutHeader];
    if (timeout === undefined) return { route, timeoutMs: undefined };
    const timeoutMs = typeof timeout === "string" ? protocol.timeoutMs(timeout) : undefined;
    // Without time left, it is the other's to say what else is wrong.
    return timeoutMs === undefined || timeoutMs <= 0 ? undefined : { route, timeoutMs };
  }

  return {
    http1(request, response) {
      const { headers } = request;
      if (request.method !== "POST" || headers["content-length"] === undefined) return false;
      const call = plainCall(request.url, headers, headers.host);
      if (call === undefined || !call.route.protocol.onHttp1) return false;
      const carrier = new UnaryCarrier(headers, response, addressOf(request.socket), call.timeoutMs);
      new Http1Call(deps, call.route, carrier, response).begin(request);
      return true;
    },
    http2(stream, headers) {
      if (headers[":method"] !== "POST") return false;
      const call = plainCall(
        headers[":path"] as string | undefined,
        headers,
        headers[":authority"] as string | undefined,
      );
      if (call === undefined) return streamed(stream, headers);
      // A stream that fails closes; nobody else listens.
      stream.on("error", ignore);
      const carrier = new UnaryCarrier(headers, stream, peerAddressOf(stream), call.timeoutMs);
      new Http2Call(deps, call.route, carrier, stream).begin(stream);
      return true;
    },
  };
}

/** How a method is called, by content type. */
function routesOf(method: UnaryMethod): ReadonlyMap<string, FastRoute> {
  const { requestBytesMax } = method;
  const routeOf = (protocol: UnaryProtocol): FastRoute => {
    const bodyBytesMax = requestBytesMax + (protocol.enveloped ? envelopeBytes : 0);
    return { method, protocol, limits: { bodyBytesMax, requestBytesMax, unscreenedBytesMax: openRequestBytesMax } };
  };
  return new Map([...unaryProtocols].map(([contentType, protocol]) => [contentType, routeOf(protocol)]));
}

class Http1Call extends FastCall {
  readonly #response: ServerResponse;

  constructor(deps: FastCallDeps, route: FastRoute, carrier: UnaryCarrier, response: ServerResponse) {
    super(deps, route, carrier);
    this.#response = response;
  }

  /** One write: headers and body together. */
  protected send({ status, headers, body = "" }: UnaryAnswer): void {
    const response = this.#response;
    if (response.destroyed) return;
    response.writeHead(status, { ...headers, "content-length": Buffer.byteLength(body) });
    response.end(body);
  }
}

class Http2Call extends FastCall {
  readonly #stream: ServerHttp2Stream;

  constructor(deps: FastCallDeps, route: FastRoute, carrier: UnaryCarrier, stream: ServerHttp2Stream) {
    super(deps, route, carrier);
    this.#stream = stream;
  }

  protected send({ status, headers, body, trailers }: UnaryAnswer): void {
    const stream = this.#stream;
    if (stream.destroyed || stream.closed) return;
    if (!stream.readableEnded) endUnreadStream(stream);
    if (body === undefined) {
      stream.respond({ ":status": status, ...headers }, { endStream: true });
      return;
    }
    if (trailers === undefined) {
      stream.respond({ ":status": status, ...headers, "content-length": Buffer.byteLength(body) });
    } else {
      stream.respond({ ":status": status, ...headers }, { waitForTrailers: true });
      stream.once("wantTrailers", () => stream.sendTrailers(trailers));
    }
    stream.end(body);
  }
}

function ignore(): void {}
