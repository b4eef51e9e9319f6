import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { afterAll, describe, expect, it, vi } from "vitest";
import { type ServerProcess, startServer, temporaryFolder } from "../support/server-process.ts";

const folder = temporaryFolder("signals");
afterAll(folder.remove);

/** A call that the server has begun to read, and whose body doesn't come: draining waits for it. */
async function unfinishedCall({ url, rootCredential }: ServerProcess): Promise<Socket> {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  const head = [
    "POST /ichor.v1.AdminService/IssueApiKey HTTP/1.1",
    `Host: ${hostname}`,
    `Authorization: Bearer ${rootCredential}`,
    "Content-Type: application/json",
    "Content-Length: 100",
    "Expect: 100-continue",
  ];
  socket.write(`${head.join("\r\n")}\r\n\r\n`);
  const [bytes] = await once(socket, "data");
  expect(String(bytes)).toContain("100 Continue");
  return socket;
}

describe("a server that is told to stop", () => {
  // Ctrl-C reaches every process of the terminal, and npm hands it on besides.
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    it(`goes on draining when ${signal} comes again, and ends with 0`, async () => {
      const server = await startServer({ dataDir: folder.path });
      const call = await unfinishedCall(server);
      process.kill(server.pid, signal);
      await vi.waitFor(() => expect(server.log.join("\n")).toContain('"msg":"draining"'), { timeout: 10_000 });
      process.kill(server.pid, signal);
      // Which sends one more.
      const ended = server.stop();
      call.destroy();
      expect(await ended).toBe(0);
      expect(server.log.join("\n")).toContain('"msg":"stopped"');
    });
  }
});
