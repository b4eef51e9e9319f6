import type { IncomingMessage, ServerResponse } from "node:http";
import { constants, type Http2ServerRequest, type Http2ServerResponse, type ServerHttp2Stream } from "node:http2";
import { type ConnectRouter, createConnectRouter, createContextValues } from "@connectrpc/connect";
import type { UniversalHandler, UniversalServerRequest } from "@connectrpc/connect/protocol";
import { universalRequestFromNodeRequest, universalResponseToNodeResponse } from "@connectrpc/connect-node";
import { certifiedPeerOf } from "./certified-peer.ts";
import { certifiedPeerKey, peerAddressKey } from "./connect-routes.ts";
import { FrameBody } from "./frame-stream.ts";
import type { Log } from "./log.ts";

export type NodeRequest = IncomingMessage | Http2ServerRequest;
export type NodeResponse = ServerResponse | Http2ServerResponse;

/** Serves a request if its path is that of an RPC; false: it isn't, and nothing was touched. */
export type RpcHandler = (request: NodeRequest, response: NodeResponse) => boolean;

/**
 * Serves the routes over Node's HTTP servers, both versions. In place of `connectNodeAdapter`, which lets a malformed
 * Host header throw out of the server's request event, writes to the console, and leaves the stream of a refused
 * request open, so that a client that is still sending hangs.
 */
export function createRpcHandler(routes: (router: ConnectRouter) => void, log: Log): RpcHandler {
  const router = createConnectRouter();
  routes(router);
  const handlers = new Map(router.handlers.map((handler) => [handler.requestPath, handler]));
  return (request, response) => {
    const handler = handlers.get(pathOf(request));
    if (handler === undefined) return false;
    serve(handler, request, response).catch((err: unknown) => {
      const fields = { method: handler.requestPath.slice(1), err };
      if (isGone(response)) return log.debug(fields, "answer not delivered: the client went away");
      log.error(fields, "answer not delivered");
      if (!response.headersSent) sendError(response, 500, "internal", "internal error");
    });
    return true;
  };
}

async function serve(handler: UniversalHandler, request: NodeRequest, response: NodeResponse): Promise<void> {
  const universal = universalRequestOf(request, response);
  if (universal === undefined) {
    sendError(response, 400, "invalid_argument", "the request has no usable Host");
    return;
  }
  endUnreadRequest(request);
  const answer = await handler(universal);
  // No RPC has begun: connect answers these with a bare status.
  switch (answer.status) {
    case constants.HTTP_STATUS_METHOD_NOT_ALLOWED:
      response.setHeader("allow", handler.allowedMethods.join(", "));
      return sendError(response, answer.status, "unimplemented", "RPCs are called with POST");
    case constants.HTTP_STATUS_UNSUPPORTED_MEDIA_TYPE:
      response.setHeader("accept-post", acceptPost);
      return sendError(
        response,
        answer.status,
        "unknown",
        "the content type is not one of an RPC, as application/json",
      );
    case constants.HTTP_STATUS_HTTP_VERSION_NOT_SUPPORTED:
      response.setHeader("connection", "close");
      return sendError(response, answer.status, "unknown", "this RPC streams both ways and needs HTTP/2");
    default:
      if (answer.body instanceof FrameBody) return answer.body.sendTo(answer, response);
      await universalResponseToNodeResponse(answer, response);
  }
}

const acceptPost = "application/json, application/proto, application/grpc, application/grpc-web";

/** Sends a short JSON error in the shape of Connect's. */
export function sendError(response: NodeResponse, status: number, code: string, message: string): void {
  const body = JSON.stringify({ code, message });
  response.setHeader("content-type", "application/json");
  response.setHeader("content-length", Buffer.byteLength(body));
  response.statusCode = status;
  response.end(body);
}

/** undefined if the authority is one that no URL can have. */
function universalRequestOf(request: NodeRequest, response: NodeResponse): UniversalServerRequest | undefined {
  const values = createContextValues()
    .set(peerAddressKey, addressOf(request.socket))
    .set(certifiedPeerKey, certifiedPeerOf(request.socket));
  try {
    return universalRequestFromNodeRequest(request, response, undefined, values);
  } catch {
    return undefined;
  }
}

/**
 * Ends an HTTP/2 stream once it is answered, even if the client has more to send: RST_STREAM with NO_ERROR
 * (RFC 9113 section 8.1). HTTP/1.1 needs nothing: Node closes the connection of an unread request.
 */
function endUnreadRequest(request: NodeRequest): void {
  if ("stream" in request) endUnreadStream(request.stream);
}

/** Ends a stream once it is answered, unless its request was read to the end. */
export function endUnreadStream(stream: ServerHttp2Stream): void {
  // Of the stream: the response's own event comes only when the stream is closed.
  stream.once("finish", () => {
    if (stream.readableEnded || stream.closed) return;
    // After the trailers, which Node sends in an immediate of its own.
    setImmediate(() => setImmediate(() => stream.close(constants.NGHTTP2_NO_ERROR)));
  });
}

/** The peer's address, IPv4 as such; empty if the connection is gone. */
export function addressOf(socket: { readonly remoteAddress?: string | undefined } | undefined | null): string {
  const address = socket?.remoteAddress ?? "";
  return address.startsWith("::ffff:") && address.includes(".") ? address.slice("::ffff:".length) : address;
}

function isGone(response: NodeResponse): boolean {
  return "stream" in response ? response.stream === undefined || response.stream.destroyed : response.destroyed;
}

/** The path of a request without its query. */
export function pathOf(request: NodeRequest): string {
  const url = request.url ?? "";
  const query = url.indexOf("?");
  return query < 0 ? url : url.slice(0, query);
}
