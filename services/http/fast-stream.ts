import type { IncomingHttpHeaders, ServerHttp2Stream } from "node:http2";
import type { Message } from "@bufbuild/protobuf";
import type { ConnectError } from "@connectrpc/connect";
import type { StreamDone } from "../rpc/admitted-stream.ts";
import { type MethodRegistry, openRequestBytesMax, type StreamMethod } from "../rpc/method-registry.ts";
import { endUnreadStream } from "../rpc/node-handler.ts";
import type { Screened } from "../rpc/pipeline.ts";
import { decodeRequest, envelopeBytes, unknownCompression, unwrapEnvelope } from "../rpc/request-message.ts";
import type { FastCallDeps } from "./fast-call.ts";
import { Http2FrameSink } from "./http2-frame-sink.ts";
import { isPlainHost, peerAddressOf } from "./http2-peer.ts";
import { type BodyReceiver, readBody } from "./read-body.ts";
import { type StreamProtocol, streamProtocols } from "./stream-protocols.ts";
import { UnaryCarrier } from "./unary-carrier.ts";

/**
 * Serves plain calls of streaming methods straight on Node's HTTP/2 streams: what connect keeps for each stream is three
 * quarters of what a follower of a key set would take. As with unary calls, everything that isn't plain is left to connect.
 */
export function createFastStream({
  registry,
  ...deps
}: FastCallDeps & { readonly registry: MethodRegistry }): (
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
) => boolean {
  const methods = new Map(registry.streams.map((method) => [`/${method.name}`, method]));
  return (stream, headers) => {
    const method = headers[":method"] === "POST" ? methods.get(String(headers[":path"])) : undefined;
    const protocol = streamProtocols.get(headers["content-type"] ?? "");
    if (method === undefined || protocol === undefined || !isPlain(headers, protocol)) return false;
    // A stream that fails closes; nobody else listens.
    stream.on("error", () => {});
    new StreamedCall(deps, method, protocol, stream, headers).begin();
    return true;
  };
}

/** Whether nothing about the request is a matter for connect: browsers, compression, deadlines, odd hosts. */
function isPlain(headers: IncomingHttpHeaders, { encodingHeader, timeoutHeader }: StreamProtocol): boolean {
  const encoding = headers[encodingHeader];
  return (
    (encoding === undefined || encoding === "identity") &&
    headers[timeoutHeader] === undefined &&
    headers.origin === undefined &&
    isPlainHost(headers[":authority"])
  );
}

/** One stream, from its request to its end. */
class StreamedCall implements BodyReceiver, StreamDone {
  readonly lasting = true;
  readonly #deps: FastCallDeps;
  readonly #method: StreamMethod;
  readonly #protocol: StreamProtocol;
  readonly #stream: ServerHttp2Stream;
  readonly #carrier: UnaryCarrier;
  #screening: Promise<Screened | undefined> | undefined;

  constructor(
    deps: FastCallDeps,
    method: StreamMethod,
    protocol: StreamProtocol,
    stream: ServerHttp2Stream,
    headers: IncomingHttpHeaders,
  ) {
    this.#deps = deps;
    this.#method = method;
    this.#protocol = protocol;
    this.#stream = stream;
    this.#carrier = new UnaryCarrier(compact(headers), stream, peerAddressOf(stream), undefined);
  }

  begin(): void {
    const { requestBytesMax } = this.#method;
    const bodyBytesMax = requestBytesMax + envelopeBytes;
    readBody(this.#stream, { bodyBytesMax, requestBytesMax, unscreenedBytesMax: openRequestBytesMax }, this);
  }

  async screen(): Promise<boolean> {
    return (await this.#screen()) !== undefined;
  }

  whole(bytes: Uint8Array): void {
    let request: Message;
    try {
      const message = unwrapEnvelope(bytes, this.#method.requestBytesMax);
      if (message.compressed) throw unknownCompression();
      request = decodeRequest(this.#method.desc.input, message.bytes, false);
    } catch (thrown) {
      this.faulty(thrown);
      return;
    }
    const sink = new Http2FrameSink(this.#stream, this.#protocol);
    try {
      this.#deps.pipeline.stream(this.#method, request, this.#carrier, sink, this);
    } catch (err) {
      this.#notDelivered(err);
    }
  }

  faulty(thrown: unknown): void {
    const { name } = this.#method;
    void this.#screen()
      .then((screened) => {
        if (screened) this.done(this.#deps.pipeline.refuse(name, false, this.#carrier, thrown, screened));
      })
      .catch((err: unknown) => this.#notDelivered(err));
  }

  /** Asked at most once, and only for what is large or faulty; undefined: the caller has been refused. */
  #screen(): Promise<Screened | undefined> {
    this.#screening ??= this.#deps.pipeline.screen(this.#method, this.#carrier).catch((error: ConnectError) => {
      this.done(error);
      return undefined;
    });
    return this.#screening;
  }

  done(error: ConnectError | undefined): void {
    const stream = this.#stream;
    if (stream.destroyed || stream.closed) return;
    try {
      if (!stream.readableEnded) endUnreadStream(stream);
      this.#protocol.end(stream, error);
    } catch (err) {
      this.#notDelivered(err);
    }
  }

  #notDelivered(err: unknown): void {
    this.#deps.log.error({ method: this.#method.name, err }, "answer not delivered");
  }
}

/** The same headers, without those of HTTP/2 itself, in a fourth of the memory: what Node gives is a dictionary. */
function compact(headers: IncomingHttpHeaders): IncomingHttpHeaders {
  const copy: IncomingHttpHeaders = {};
  for (const name in headers) if (!name.startsWith(":")) copy[name] = headers[name];
  return copy;
}
