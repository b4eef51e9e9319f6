import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { Socket } from "node:net";
import type { FastUnary } from "./fast-unary.ts";
import type { ListenerLimits } from "./limits.ts";
import { hasRepeatedHeader, refuseRepeatedHeader } from "./repeated-headers.ts";

/** The HTTP/1.1 side of a listener: it gets sockets and never listens itself. */
export interface Http1Server {
  accept(socket: Socket): void;
  /** Closes idle connections at once, and the others once they have answered. */
  drain(): void;
}

export function createHttp1Server(
  handler: (request: IncomingMessage, response: ServerResponse) => void,
  limits: ListenerLimits,
  fastUnary?: Pick<FastUnary, "http1">,
): Http1Server {
  const sockets = new Set<Socket>();
  const answering = new Set<ServerResponse>();
  function forget(this: ServerResponse): void {
    answering.delete(this);
  }
  let draining = false;

  const server = createServer(
    {
      maxHeaderSize: limits.headerBytesMax,
      headersTimeout: limits.headersMs,
      requestTimeout: limits.requestMs,
      keepAliveTimeout: limits.keepAliveMs,
      connectionsCheckingInterval: Math.min(1_000, limits.headersMs),
    },
    (request, response) => {
      answering.add(response);
      response.on("close", forget);
      if (draining) response.shouldKeepAlive = false;
      if (hasRepeatedHeader(request.rawHeaders)) return refuseRepeatedHeader(response);
      if (!fastUnary?.http1(request, response)) handler(request, response);
    },
  );
  // A server that never listens tracks no connections, and so enforces neither of its timeouts.
  server.emit("listening");

  return {
    accept(socket) {
      if (draining) return void socket.destroy();
      sockets.add(socket);
      socket.once("close", () => sockets.delete(socket));
      server.emit("connection", socket);
      socket.resume();
    },
    drain() {
      draining = true;
      const busy = new Set<Socket | null>();
      for (const response of answering) {
        const { socket } = response;
        busy.add(socket);
        if (response.headersSent) response.once("finish", () => socket?.end());
        else response.shouldKeepAlive = false;
      }
      for (const socket of sockets) if (!busy.has(socket)) socket.destroy();
      // Stops its checks of timeouts; that it never listened is no news.
      server.close(() => {});
    },
  };
}
