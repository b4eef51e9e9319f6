import { connect, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";

/** A connection on which a test says exactly what it wants. */
export interface RawConnection {
  readonly socket: Socket;
  send(text: string | Uint8Array): void;
  /** Resolves with all that the server has sent once that contains the text. */
  until(text: string): Promise<string>;
  /** Resolves with all that the server has sent once it has closed the connection. */
  closed(): Promise<string>;
}

/** Connects to a port of this machine; over TLS if asked, trusting anyone. */
export async function rawConnection(port: number, tls?: { readonly ALPNProtocols: string[] }): Promise<RawConnection> {
  const socket = tls
    ? connectTls({ port, host: "127.0.0.1", rejectUnauthorized: false, ...tls })
    : connect(port, "127.0.0.1");
  let received = "";
  socket.on("data", (bytes) => {
    received += bytes.toString("latin1");
  });
  // A reset is a way to close, too.
  socket.on("error", () => {});
  const ended = new Promise<void>((resolve) => socket.once("close", () => resolve()));
  await new Promise((resolve) => socket.once(tls ? "secureConnect" : "connect", resolve));
  return {
    socket,
    send: (text) => void socket.write(text),
    until: (text) =>
      new Promise((resolve) => {
        const look = (): void => {
          if (!received.includes(text)) return;
          socket.off("data", look);
          resolve(received);
        };
        socket.on("data", look);
        look();
      }),
    closed: async () => {
      await ended;
      return received;
    },
  };
}

/** One plain HTTP/1.1 request, its answer as text. */
export async function httpText(port: number, request: string): Promise<string> {
  const connection = await rawConnection(port);
  connection.send(request);
  return connection.closed();
}
