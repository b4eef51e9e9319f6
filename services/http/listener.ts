import { randomBytes } from "node:crypto";
import type { AddressInfo } from "node:net";
import { createServer as createNetServer, type ListenOptions, type Server, type Socket } from "node:net";
import { createServer as createTlsServer, type SecureContextOptions, type Server as TlsServer } from "node:tls";
import type { Log } from "../rpc/log.ts";
import type { NodeRequest, NodeResponse } from "../rpc/node-handler.ts";
import { certifyClient } from "./client-certificate.ts";
import type { FastUnary } from "./fast-unary.ts";
import { createHttp1Server } from "./http1-server.ts";
import { createHttp2Server } from "./http2-server.ts";
import { type ListenerLimits, listenerLimits } from "./limits.ts";
import { type Protocol, sniffProtocol } from "./protocol-sniffer.ts";

/** Certificate chain and private key in PEM, and of whom client certificates are taken. */
export interface ListenerTls {
  readonly cert: string | Buffer;
  readonly key: string | Buffer;
  /** undefined: clients aren't asked for a certificate. */
  readonly clients?: ClientCertificates | undefined;
}

export interface ClientCertificates {
  /** Certificates of authorities in PEM: these alone are trusted. */
  readonly ca: string | Buffer;
  /** Whether a client must show a certificate. One that is shown must be good either way. */
  readonly required: boolean;
}

export interface ListenerOptions {
  readonly handler: (request: NodeRequest, response: NodeResponse) => void;
  /** Gets every request first. */
  readonly fastUnary?: FastUnary;
  /** Without it the port is cleartext. */
  readonly tls?: ListenerTls;
  readonly limits?: Partial<ListenerLimits>;
  readonly log: Log;
}

/** Where a listener can be reached. */
export interface ListenAddress {
  readonly host: string;
  readonly port: number;
  /** `http://127.0.0.1:8420`, or `https://…`. */
  readonly url: string;
}

export interface Listener {
  /** Starts to accept connections. Port 0 takes a free one. Rejects with Node's error, as EADDRINUSE. */
  listen(host: string, port: number): Promise<ListenAddress>;
  /** The same on a Unix socket, which nobody else may listen on; its peers have no address. */
  listenAtPath(path: string): Promise<void>;
  /**
   * Uses other certificates and authorities for connections from now on; those that there are go on. Only on a port with
   * TLS; whether clients are asked for a certificate doesn't change.
   */
  renewTls(tls: ListenerTls): void;
  /**
   * Stops accepting, closes what is idle, lets requests in flight finish, and cuts what is left after `timeoutMs`.
   * Resolves when no connection is left, with the number of those that were cut.
   */
  drain(timeoutMs: number): Promise<{ readonly cut: number }>;
}

/**
 * One port for HTTP/1.1 and HTTP/2: told apart by the preface in cleartext (h2c with prior knowledge; `Upgrade: h2c` is
 * not served), by ALPN over TLS (1.2 or newer).
 */
export function createListener({ handler, fastUnary, tls, limits: given, log }: ListenerOptions): Listener {
  const limits = { ...listenerLimits, ...given };
  const http1 = createHttp1Server(handler, limits, fastUnary);
  const http2 = createHttp2Server(handler, limits, fastUnary);
  const sockets = new Set<Socket>();

  /** Connections that have not told their protocol yet. Over TLS none: a handshake has its own timeout. */
  const undecided = new Set<Socket>();
  const handOver = (socket: Socket, protocol: Protocol): void => {
    undecided.delete(socket);
    (protocol === "h2" ? http2 : http1).accept(socket);
  };
  const tlsServer = tls && createTlsListener(tls, limits, handOver, log);
  const server = tlsServer ?? createNetServer({ noDelay: true });

  server.maxConnections = limits.connectionsMax;
  server.on("connection", (socket: Socket) => {
    sockets.add(socket);
    socket.setKeepAlive(true, limits.pingMs);
    socket.once("close", () => {
      sockets.delete(socket);
      undecided.delete(socket);
    });
    if (tls) return;
    undecided.add(socket);
    sniffProtocol(socket, limits.firstByteMs, (protocol) => handOver(socket, protocol));
  });
  server.on("drop", () => log.warn({ connectionsMax: limits.connectionsMax }, "connection refused: too many"));

  return {
    async listen(host, port) {
      await listening(server, { host, port });
      tellFaults(server, log);
      return addressOf(server, tls ? "https" : "http");
    },
    async listenAtPath(path) {
      await listening(server, { path });
      tellFaults(server, log);
    },
    renewTls(renewed) {
      if (tlsServer === undefined) throw new TypeError("the listener has no TLS");
      tlsServer.setSecureContext(secureContext(renewed));
      // Else a session from before could be resumed under what it was checked by.
      tlsServer.setTicketKeys(randomBytes(ticketKeysBytes));
    },
    async drain(timeoutMs) {
      const closed = new Promise<void>((resolve) => {
        server.close(() => resolve());
      });
      for (const socket of undecided) socket.destroy();
      http1.drain();
      http2.drain();
      let cut = 0;
      const deadline = setTimeout(() => {
        cut = sockets.size;
        for (const socket of sockets) socket.destroy();
      }, timeoutMs);
      await closed;
      clearTimeout(deadline);
      return { cut };
    },
  };
}

/** Keys of TLS session tickets, as Node takes them. */
const ticketKeysBytes = 48;

function secureContext({ cert, key, clients }: ListenerTls): SecureContextOptions {
  return { cert, key, minVersion: "TLSv1.2", ...(clients && { ca: clients.ca }) };
}

function createTlsListener(
  tls: ListenerTls,
  limits: ListenerLimits,
  handOver: (socket: Socket, protocol: Protocol) => void,
  log: Log,
): TlsServer {
  const server = createTlsServer({
    ...secureContext(tls),
    requestCert: tls.clients !== undefined,
    rejectUnauthorized: tls.clients?.required === true,
    ALPNProtocols: ["h2", "http/1.1"],
    handshakeTimeout: limits.firstByteMs,
    noDelay: true,
  });
  server.on("secureConnection", (socket) => {
    if (tls.clients !== undefined && !certifyClient(socket)) {
      log.debug({ err: socket.authorizationError }, "client certificate refused");
      return void socket.destroy();
    }
    handOver(socket, socket.alpnProtocol === "h2" ? "h2" : "h1");
  });
  server.on("tlsClientError", (err, socket) => {
    log.debug({ err }, "TLS handshake failed");
    // Node reports a handshake that took too long, and leaves its connection open.
    socket.destroy();
  });
  return server;
}

function listening(server: Server, at: ListenOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(at, () => {
      server.off("error", reject);
      resolve();
    });
  });
}

function addressOf(server: Server, scheme: string): ListenAddress {
  const { address, family, port } = server.address() as AddressInfo;
  const shownHost = family === "IPv6" ? `[${address}]` : address;
  return { host: address, port, url: `${scheme}://${shownHost}:${port}` };
}

/** As EMFILE when it accepts: the next connection may succeed. */
function tellFaults(server: Server, log: Log): void {
  server.on("error", (err) => log.error({ err }, "listener failed"));
}
