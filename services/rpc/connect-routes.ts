import type { DescMethod } from "@bufbuild/protobuf";
import {
  type ConnectRouter,
  createContextKey,
  createContextValues,
  type HandlerContext,
  type MethodImpl,
} from "@connectrpc/connect";
import type { UniversalHandler, UniversalServerRequest } from "@connectrpc/connect/protocol";
import { compressionBrotli, compressionGzip } from "@connectrpc/connect-node";
import type { Carrier } from "./call.ts";
import {
  jsonOptions,
  type MethodRegistry,
  type OpenEntry,
  openRequestBytesMax,
  type UnaryMethod,
} from "./method-registry.ts";
import type { Pipeline } from "./pipeline.ts";
import { guardRequest } from "./request-guard.ts";

/** Address of the peer of the connection, without port; the transport sets it. */
export const peerAddressKey = createContextKey("", { description: "peer address" });

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
    for (const method of registry.open) addOpen(router, method, pipeline, streamsEnd);
  };
}

function addUnary(router: ConnectRouter, method: UnaryMethod, pipeline: Pipeline): void {
  router.rpc(method.desc, (request, context) => pipeline.unary(method, request, carrierOf(context)), {
    ...limits(method.requestBytesMax),
  });
  guardLast(router, method.name, false, method.requestBytesMax, pipeline);
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
    ...limits(openRequestBytesMax),
    ...(stream && streamsEnd ? { shutdownSignal: streamsEnd } : {}),
  });
  if (desc.methodKind !== "bidi_streaming") guardLast(router, name, true, openRequestBytesMax, pipeline);
}

function limits(requestBytesMax: number) {
  return { readMaxBytes: requestBytesMax, acceptCompression: compressions, jsonOptions };
}

/** Puts the guard around the handler that was added last. */
function guardLast(
  router: ConnectRouter,
  name: string,
  open: boolean,
  requestBytesMax: number,
  pipeline: Pipeline,
): void {
  const handler = router.handlers.pop() as UniversalHandler;
  const guarded = guardRequest(handler, {
    requestBytesMax,
    compressions,
    refuse: (request, thrown) => pipeline.refuse(name, open, carrierOfRequest(request), thrown),
  });
  router.handlers.push(guarded);
}

function carrierOf(context: HandlerContext): Carrier {
  return {
    header: (name) => context.requestHeader.get(name) ?? undefined,
    peerAddress: context.values.get(peerAddressKey),
    signal: context.signal,
    timeoutMs: context.timeoutMs,
  };
}

/** A request that is refused before connect has made a context for it. */
function carrierOfRequest({ header, signal, contextValues }: UniversalServerRequest): Carrier {
  return {
    header: (name) => header.get(name) ?? undefined,
    peerAddress: (contextValues ?? createContextValues()).get(peerAddressKey),
    signal,
    timeoutMs: () => undefined,
  };
}
