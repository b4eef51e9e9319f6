import { readFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import { TLSSocket } from "node:tls";

/** A front of a PostgreSQL server that speaks TLS with the certificate, as the server itself would. */
export async function startPostgresTls(
  target: { readonly host: string; readonly port: number },
  { certFile, keyFile }: { readonly certFile: string; readonly keyFile: string },
): Promise<{ readonly port: number; end(): Promise<void> }> {
  const sockets = new Set<{ destroy(): unknown }>();
  const listener = createServer((raw) => {
    const server = connect(target.port, target.host);
    for (const socket of [raw, server]) {
      sockets.add(socket);
      socket.on("error", () => {});
    }
    // SSLRequest: 8 bytes, answered by one; then the handshake (PostgreSQL, 55.7).
    raw.once("data", (request) => {
      if (request.length !== 8 || request.readInt32BE(4) !== 80_877_103) return void raw.destroy();
      raw.write("S");
      const secure = new TLSSocket(raw, {
        isServer: true,
        cert: readFileSync(certFile),
        key: readFileSync(keyFile),
      });
      secure.on("error", () => server.destroy());
      secure.pipe(server).pipe(secure);
    });
  });
  await new Promise<void>((resolve) => listener.listen(0, "0.0.0.0", resolve));
  const { port } = listener.address() as { port: number };
  return {
    port,
    async end() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => listener.close(resolve));
    },
  };
}
