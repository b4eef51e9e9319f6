import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from "node:http";
import type { ServerHttp2Session, ServerHttp2Stream } from "node:http2";
import type { ConnectError } from "@connectrpc/connect";
import type { Log } from "../rpc/log.ts";
import { type MethodRegistry, openRequestBytesMax, type UnaryMethod } from "../rpc/method-registry.ts";
import { addressOf, endUnreadStream } from "../rpc/node-handler.ts";
import type { Pipeline, Screened } from "../rpc/pipeline.ts";
import { decodeRequest, envelopeBytes, unknownCompression, unwrapEnvelope } from "../rpc/request-message.ts";
import { readBody } from "./read-body.ts";
import { UnaryCarrier } from "./unary-carrier.ts";
import { type UnaryAnswer, type UnaryProtocol, unaryProtocols } from "./unary-protocols.ts";

/** Serves a request if it is a plain call of a hot method; false: it isn't, and nothing of it was touched. */
export interface FastUnary {
  http1(request: IncomingMessage, response: ServerResponse): boolean;
  http2(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): boolean;
}

export interface FastUnaryDeps {
  readonly registry: MethodRegistry;
  readonly pipeline: Pipeline;
  readonly log: Pick<Log, "error">;
}

/** A call that the fast path takes. */
interface PlainCall {
  readonly method: UnaryMethod;
  readonly protocol: UnaryProtocol;
  readonly timeoutMs: number | undefined;
}

/**
 * Calls of hot methods straight on Node's HTTP servers, in Connect, gRPC and gRPC-Web: the same methods, pipeline and
 * error boundary as behind connect-node, for a tenth of its cost. Only what is plain is taken: POST to the exact path, a
 * common content type, no compression, a length that is allowed. Everything else is connect-node's, before a byte of the
 * body is read; a test holds the answers of both equal.
 */
export function createFastUnary({ registry, pipeline, log }: FastUnaryDeps): FastUnary {
  const hot = [...registry.unary.values()].filter(({ hot }) => hot !== undefined);
  const methods = new Map(hot.map((method) => [`/${method.name}`, method]));
  const addresses = new WeakMap<ServerHttp2Session, string>();

  function plainCall(
    path: string | undefined,
    headers: IncomingHttpHeaders,
    host: string | undefined,
  ): PlainCall | undefined {
    const method = methods.get(path ?? "");
    const protocol = unaryProtocols.get(headers["content-type"] ?? "");
    if (method === undefined || protocol === undefined) return undefined;
    const encoding = headers[protocol.encodingHeader];
    if (encoding !== undefined && encoding !== "identity") return undefined;
    // Browsers' calls may need headers that are no concern of this path.
    if (headers.origin !== undefined || host === undefined || !plainHost.test(host)) return undefined;
    if (Number(headers["content-length"] ?? 0) > bodyBytesMax(method, protocol)) return undefined;
    const timeout = headers[protocol.timeoutHeader];
    if (timeout === undefined) return { method, protocol, timeoutMs: undefined };
    const timeoutMs = typeof timeout === "string" ? protocol.timeoutMs(timeout) : undefined;
    // Without time left, it is the other's to say what else is wrong.
    return timeoutMs === undefined || timeoutMs <= 0 ? undefined : { method, protocol, timeoutMs };
  }

  function serve(
    { method, protocol }: PlainCall,
    body: IncomingMessage | ServerHttp2Stream,
    carrier: UnaryCarrier,
    send: (answer: UnaryAnswer) => void,
  ): void {
    const refuse = (thrown: unknown, screened?: Screened) =>
      protocol.failure(pipeline.refuse(method.name, false, carrier, thrown, screened));
    const answerTo = async (bytes: Uint8Array): Promise<UnaryAnswer> => {
      const decode = () => {
        const message = messageOf(bytes, method, protocol);
        return decodeRequest(method.desc.input, message, protocol.json, method.hot?.codec);
      };
      try {
        // What the pipeline rejects with is recorded and ready to be sent.
        const call = pipeline.unary(method, decode, carrier);
        return await call.then((answer) => protocol.success(method, answer), protocol.failure);
      } catch (thrown) {
        return refuse(thrown);
      }
    };
    // Asked at most once, and only for what is large or faulty; undefined: the caller has been refused.
    let screening: Promise<Screened | undefined> | undefined;
    const screen = () => {
      screening ??= pipeline.screen(method, carrier).catch((error: ConnectError) => {
        send(protocol.failure(error));
        return undefined;
      });
      return screening;
    };
    const fault = async (thrown: unknown): Promise<void> => {
      const screened = await screen();
      if (screened !== undefined) send(refuse(thrown, screened));
    };
    const notDelivered = (err: unknown) => log.error({ method: method.name, err }, "answer not delivered");
    const limits = {
      bodyBytesMax: bodyBytesMax(method, protocol),
      requestBytesMax: method.requestBytesMax,
      unscreenedBytesMax: openRequestBytesMax,
    };
    readBody(
      body,
      limits,
      async () => (await screen()) !== undefined,
      (bytes) => void answerTo(bytes).then(send).catch(notDelivered),
      (thrown) => void fault(thrown).catch(notDelivered),
    );
  }

  return {
    http1(request, response) {
      const { headers } = request;
      if (request.method !== "POST" || headers["content-length"] === undefined) return false;
      const call = plainCall(request.url, headers, headers.host);
      if (call === undefined || !call.protocol.onHttp1) return false;
      const carrier = new UnaryCarrier(headers, response, addressOf(request.socket), call.timeoutMs);
      serve(call, request, carrier, (answer) => answerHttp1(response, answer));
      return true;
    },
    http2(stream, headers) {
      if (headers[":method"] !== "POST") return false;
      const call = plainCall(
        headers[":path"] as string | undefined,
        headers,
        headers[":authority"] as string | undefined,
      );
      if (call === undefined) return false;
      // A stream that fails closes; nobody else listens.
      stream.on("error", ignore);
      const carrier = new UnaryCarrier(headers, stream, peerAddressOf(stream, addresses), call.timeoutMs);
      serve(call, stream, carrier, (answer) => answerHttp2(stream, answer));
      return true;
    },
  };
}

/** Hosts that surely make a URL; the odd ones are connect-node's to judge. */
const plainHost = /^[a-zA-Z0-9.:[\]_-]+$/;

function bodyBytesMax({ requestBytesMax }: UnaryMethod, { enveloped }: UnaryProtocol): number {
  return requestBytesMax + (enveloped ? envelopeBytes : 0);
}

function messageOf(body: Uint8Array, { requestBytesMax }: UnaryMethod, { enveloped }: UnaryProtocol): Uint8Array {
  if (!enveloped) return body;
  const { bytes, compressed } = unwrapEnvelope(body, requestBytesMax);
  if (compressed) throw unknownCompression();
  return bytes;
}

/** One write: headers and body together. */
function answerHttp1(response: ServerResponse, { status, headers, body = "" }: UnaryAnswer): void {
  if (response.destroyed) return;
  response.writeHead(status, { ...headers, "content-length": Buffer.byteLength(body) });
  response.end(body);
}

function answerHttp2(stream: ServerHttp2Stream, { status, headers, body, trailers }: UnaryAnswer): void {
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

/** Asked once per connection: the socket of an HTTP/2 session is a proxy that costs more than the rest of a look-up. */
function peerAddressOf({ session }: ServerHttp2Stream, known: WeakMap<ServerHttp2Session, string>): string {
  const serverSession = session as ServerHttp2Session | undefined;
  if (serverSession === undefined) return "";
  const address = known.get(serverSession) ?? addressOf(serverSession.socket);
  known.set(serverSession, address);
  return address;
}

function ignore(): void {}
