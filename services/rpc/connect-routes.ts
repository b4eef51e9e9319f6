import type { DescMethod, Message } from "@bufbuild/protobuf";
import {
  type ConnectError,
  type ConnectRouter,
  createContextKey,
  createContextValues,
  type HandlerContext,
  type MethodImpl,
} from "@connectrpc/connect";
import type { UniversalHandlerFn, UniversalServerRequest } from "@connectrpc/connect/protocol";
import { compressionBrotli, compressionGzip } from "@connectrpc/connect-node";
import type { Carrier } from "./call.ts";
import type { CertifiedPeer } from "./certified-peer.ts";
import { frameStreamKey, sendFrames } from "./frame-stream.ts";
import { plainGrpcMessages } from "./grpc-message.ts";
import {
  jsonOptions,
  type MethodRegistry,
  type OpenEntry,
  openRequestBytesMax,
  type StreamMethod,
  type UnaryMethod,
} from "./method-registry.ts";
import type { Pipeline } from "./pipeline.ts";
import { type GuardOptions, guardRequest, type Refuse, type Screen } from "./request-guard.ts";

/** Address of the peer of the connection, without port; the transport sets it. */
export const peerAddressKey = createContextKey("", { description: "peer address" });

/** Whom the connection's client certificate names; the transport sets it. */
export const certifiedPeerKey = createContextKey<CertifiedPeer | undefined>(undefined, {
  description: "certified peer",
});

/** What connect may decompress, and compresses answers with. */
const compressions = [compressionGzip, compressionBrotli];

export interface ConnectRoutesOptions {
  readonly registry: MethodRegistry;
  readonly pipeline: Pipeline;
  /** Aborts when streams shall end, so that the server can stop; unary calls go on. */
  readonly streamsEnd?: AbortSignal;
}

/**
 * Puts every method of the registry on a connect router, for connect-node as for the in-memory transport of tests.
 * A transport that knows its peer sets `peerAddressKey` in the context values.
 */
export function connectRoutes({
  registry,
  pipeline,
  streamsEnd,
}: ConnectRoutesOptions): (router: ConnectRouter) => void {
  return (router) => {
    for (const method of registry.unary.values()) addUnary(router, method, pipeline);
    for (const method of registry.streams) addStream(router, method, pipeline);
    for (const method of registry.open) addOpen(router, method, pipeline, streamsEnd);
  };
}

function addUnary(router: ConnectRouter, method: UnaryMethod, pipeline: Pipeline): void {
  const { desc, requestBytesMax } = method;
  router.rpc(
    desc,
    (request, context) => pipeline.unary(method, () => request, carrierOf(context)),
    methodOptions(requestBytesMax),
  );
  wrapLast(router, (handle) => {
    return plainGrpcMessages(guardRequest(handle, guardOf(method, pipeline)));
  });
}

function addStream(router: ConnectRouter, method: StreamMethod, pipeline: Pipeline): void {
  const { desc, requestBytesMax } = method;
  async function* implementation(request: Message, context: HandlerContext): AsyncGenerator<Message> {
    const stream = context.values.get(frameStreamKey);
    if (stream === undefined) throw new TypeError("a stream needs somewhere to write to");
    const served = new Promise<void>((resolve, reject) => {
      const done = (error: ConnectError | undefined) => (error === undefined ? resolve() : reject(error));
      pipeline.stream(method, request, carrierOf(context), stream, { done });
    });
    // The others go past connect.
    const first = await Promise.race([stream.first, served]);
    if (first) yield first.message;
    await served;
  }
  router.rpc(desc, implementation as MethodImpl<DescMethod>, methodOptions(requestBytesMax));
  wrapLast(router, (handle) => {
    return sendFrames(plainGrpcMessages(guardRequest(handle, guardOf(method, pipeline))));
  });
}

/** How the request of a method that needs a caller is guarded. */
function guardOf(method: UnaryMethod | StreamMethod, pipeline: Pipeline): GuardOptions {
  const { name, desc, requestBytesMax } = method;
  const screen: Screen = (request) => pipeline.screen(method, carrierOfRequest(request));
  const refuse: Refuse = (request, thrown, screened) =>
    pipeline.refuse(name, false, carrierOfRequest(request), thrown, screened);
  return { desc, requestBytesMax, compressions, screen, refuse };
}

function addOpen(
  router: ConnectRouter,
  { name, desc, run }: OpenEntry,
  pipeline: Pipeline,
  streamsEnd?: AbortSignal,
): void {
  const stream = desc.methodKind !== "unary";
  const implementation = (request: unknown, context: HandlerContext): unknown => {
    const carrier = carrierOf(context);
    if (stream) return pipeline.openStream(name, carrier, () => run(request, carrier));
    return pipeline.open(name, carrier, () => run(request, carrier));
  };
  router.rpc(desc, implementation as MethodImpl<DescMethod>, {
    ...methodOptions(openRequestBytesMax),
    ...(stream && streamsEnd ? { shutdownSignal: streamsEnd } : {}),
  });
  wrapLast(router, (handle) => {
    // The messages of a request stream are checked one by one, by connect, while the method reads them.
    if (desc.methodKind === "bidi_streaming") return plainGrpcMessages(handle);
    const refuse: Refuse = (request, thrown) => pipeline.refuse(name, true, carrierOfRequest(request), thrown);
    return plainGrpcMessages(
      guardRequest(handle, { desc, requestBytesMax: openRequestBytesMax, compressions, refuse }),
    );
  });
}

function methodOptions(requestBytesMax: number) {
  return { readMaxBytes: requestBytesMax, acceptCompression: compressions, jsonOptions };
}

/** Wraps the handler that was added last: routers know no wrappers of their own. */
function wrapLast(router: ConnectRouter, wrap: (handle: UniversalHandlerFn) => UniversalHandlerFn): void {
  const handler = router.handlers.pop();
  if (handler === undefined) throw new TypeError("no method was added");
  const { protocolNames, allowedMethods, supportedContentType, requestPath, service, method } = handler;
  const facts = { protocolNames, allowedMethods, supportedContentType, requestPath, service, method };
  router.handlers.push(Object.assign(wrap(handler), facts));
}

function carrierOf(context: HandlerContext): Carrier {
  return {
    header: (name) => context.requestHeader.get(name) ?? undefined,
    peerAddress: context.values.get(peerAddressKey),
    certified: context.values.get(certifiedPeerKey),
    signal: context.signal,
    onClose: (callback) => onAbort(context.signal, callback),
    timeoutMs: context.timeoutMs,
  };
}

/** A request that is refused before connect has made a context for it. */
function carrierOfRequest({ header, signal, contextValues }: UniversalServerRequest): Carrier {
  const values = contextValues ?? createContextValues();
  return {
    header: (name) => header.get(name) ?? undefined,
    peerAddress: values.get(peerAddressKey),
    certified: values.get(certifiedPeerKey),
    signal,
    onClose: (callback) => onAbort(signal, callback),
    timeoutMs: () => undefined,
  };
}

function onAbort(signal: AbortSignal, callback: () => void): void {
  if (signal.aborted) callback();
  else signal.addEventListener("abort", callback, { once: true });
}
