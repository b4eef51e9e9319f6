import {
  createServer,
  type Http2ServerRequest,
  type Http2ServerResponse,
  type IncomingHttpHeaders,
  type Http2Server as NodeHttp2Server,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from "node:http2";
import type { Socket } from "node:net";
import { sendError } from "../rpc/node-handler.ts";
import type { FastUnary } from "./fast-unary.ts";
import type { ListenerLimits } from "./limits.ts";
import { hasRepeatedHeader, refuseRepeatedHeader } from "./repeated-headers.ts";

/** The HTTP/2 side of a listener: it gets sockets and never listens itself. */
export interface Http2Server {
  accept(socket: Socket): void;
  /** Tells every connection to go away: idle ones close at once, the others after their last stream. */
  drain(): void;
}

export function createHttp2Server(
  handler: (request: Http2ServerRequest, response: Http2ServerResponse) => void,
  limits: ListenerLimits,
  fastUnary?: Pick<FastUnary, "http2">,
): Http2Server {
  const sessions = new Set<ServerHttp2Session>();
  let draining = false;

  const server = createServer(
    {
      maxHeaderListPairs: 64,
      settings: {
        maxConcurrentStreams: limits.streamsPerConnectionMax,
        maxHeaderListSize: limits.headerBytesMax,
        enablePush: false,
      },
    },
    (request, response) => {
      if (headerBytes(request.rawHeaders) > limits.headerBytesMax) {
        return sendError(response, 431, "resource_exhausted", "the headers are too large");
      }
      if (hasRepeatedHeader(request.rawHeaders)) return refuseRepeatedHeader(response);
      handler(request, response);
    },
  );
  if (fastUnary)
    putBefore(server, (stream, headers, rawHeaders) => {
      const plain = headerBytes(rawHeaders) <= limits.headerBytesMax && !hasRepeatedHeader(rawHeaders);
      return plain && fastUnary.http2(stream, headers);
    });
  server.on("session", (session) => {
    sessions.add(session);
    session.once("close", () => sessions.delete(session));
    keepUp(session, limits);
    if (draining) session.close();
  });

  return {
    accept: (socket) => void server.emit("connection", socket),
    drain() {
      draining = true;
      for (const session of sessions) session.close();
    },
  };
}

/** Lets `take` have each stream first; those that it doesn't take get the request and response that Node makes of them. */
function putBefore(
  server: NodeHttp2Server,
  take: (stream: ServerHttp2Stream, headers: IncomingHttpHeaders, rawHeaders: readonly string[]) => boolean,
): void {
  const others = server.listeners("stream");
  server.removeAllListeners("stream");
  server.on("stream", (stream, headers, flags, rawHeaders: readonly string[] = []) => {
    if (take(stream, headers, rawHeaders)) return;
    for (const listener of others) listener.call(server, stream, headers, flags, rawHeaders);
  });
}

/** Size of headers as HTTP/2 counts it (RFC 9113 section 6.5.2). Node advertises the limit, but enforces 64 KiB. */
function headerBytes(rawHeaders: readonly string[]): number {
  let bytes = 16 * rawHeaders.length;
  for (const text of rawHeaders) bytes += text.length;
  return bytes;
}

/**
 * Closes a session that has no streams for too long, as one that sent its preface and nothing else, and destroys one
 * whose peer no longer answers: HTTP/2 in Node has neither header timeout nor keep-alive of its own.
 */
function keepUp(session: ServerHttp2Session, { sessionIdleMs, pingMs }: ListenerLimits): void {
  let openStreams = 0;
  let idleSinceMs = performance.now();
  let pingPending = false;

  session.on("stream", (stream) => {
    openStreams += 1;
    stream.once("close", () => {
      openStreams -= 1;
      idleSinceMs = performance.now();
    });
  });

  const timer = setInterval(
    () => {
      if (pingPending || session.closed) return session.destroy();
      if (openStreams === 0 && performance.now() - idleSinceMs >= sessionIdleMs) return session.close();
      pingPending = session.ping(() => {
        pingPending = false;
      });
    },
    Math.min(pingMs, sessionIdleMs),
  );
  timer.unref();
  session.once("close", () => clearInterval(timer));
}
