import { connect, createServer, type Socket } from "node:net";

/** Stands between a client and a server, and does to their connections what networks and crashes do. */
export interface TcpProxy {
  readonly port: number;
  /** Ends every connection. */
  cut(): void;
  /** Ends every connection, and new ones at once, until `restore`. */
  close(): void;
  /** Passes nothing on, without ending anything, until `restore`. */
  stall(): void;
  /** The same for the connections that there are: new ones are good. */
  stallOpen(): void;
  restore(): void;
  /** Calls back, once, when the client sends something that holds the text; what it sent isn't passed on before. */
  onceSent(text: string, callback: () => void): void;
  end(): Promise<void>;
}

export async function startTcpProxy(target: { readonly host: string; readonly port: number }): Promise<TcpProxy> {
  const pairs = new Set<{ client: Socket; server: Socket }>();
  let state: "open" | "closed" | "stalled" = "open";
  let watch: { text: string; callback: () => void } | undefined;
  const listener = createServer((client) => {
    if (state === "closed") return void client.resetAndDestroy();
    const server = connect(target.port, target.host);
    const pair = { client, server };
    pairs.add(pair);
    const end = () => {
      pairs.delete(pair);
      client.destroy();
      server.destroy();
    };
    for (const socket of [client, server]) {
      socket.setNoDelay(true);
      socket.on("error", () => {});
      socket.once("close", end);
      if (state === "stalled") socket.pause();
    }
    client.on("data", (bytes) => {
      if (watch !== undefined && bytes.includes(watch.text)) {
        const { callback } = watch;
        watch = undefined;
        callback();
      }
      if (!server.destroyed) server.write(bytes);
    });
    server.on("data", (bytes) => void client.write(bytes));
  });
  await new Promise<void>((resolve) => listener.listen(0, "127.0.0.1", resolve));
  const address = listener.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  const cut = () => {
    for (const { client, server } of pairs) {
      client.resetAndDestroy();
      server.destroy();
    }
  };
  const each = (act: (socket: Socket) => void) => {
    for (const { client, server } of pairs) for (const socket of [client, server]) act(socket);
  };
  return {
    port: address.port,
    cut,
    close() {
      state = "closed";
      cut();
    },
    stall() {
      state = "stalled";
      each((socket) => socket.pause());
    },
    stallOpen: () => each((socket) => socket.pause()),
    restore() {
      state = "open";
      each((socket) => socket.resume());
    },
    onceSent(text, callback) {
      watch = { text, callback };
    },
    async end() {
      cut();
      await new Promise((resolve) => listener.close(resolve));
    },
  };
}
