import { connect } from "node:http2";
import { createClient } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";
import { describe, expect, it } from "vitest";
import { Health } from "../../gen/grpc/health/v1/health_pb.ts";
import { AdminService } from "../../gen/ichor/v1/admin_service_pb.ts";
import { type FakeServer, startFakeServer } from "../support/fake-server.ts";
import { rawConnection } from "../support/raw-connection.ts";

const asRoot = { headers: { authorization: "Bearer root" } };
const longMs = 20_000;

/** A server whose GetApiKey answers when the test says so. */
async function startSlowServer() {
  let begin: () => void = () => {};
  let finish: () => void = () => {};
  const begun = new Promise<void>((resolve) => (begin = resolve));
  const finished = new Promise<void>((resolve) => (finish = resolve));
  const server = await startFakeServer({
    methods: {
      getApiKey: async ({ keyId }) => {
        begin();
        await finished;
        return { apiKey: { id: keyId } };
      },
    },
  });
  return { server, begun, finish };
}

const transports = {
  "HTTP/1.1": (server: FakeServer) => createConnectTransport({ baseUrl: server.url, httpVersion: "1.1" }),
  "gRPC over HTTP/2": (server: FakeServer) => createGrpcTransport({ baseUrl: server.url }),
};

describe("drain", () => {
  it.each(Object.entries(transports))(
    "lets a call in flight finish and accepts no more: %s",
    async (_name, makeTransport) => {
      const { server, begun, finish } = await startSlowServer();
      const answer = createClient(AdminService, makeTransport(server)).getApiKey({ keyId: "key_1" }, asRoot);
      await begun;
      server.readiness.drain();
      const drained = server.listener.drain(longMs);
      await expect(fetch(`${server.url}/livez`)).rejects.toThrow();
      finish();
      expect((await answer).apiKey?.id).toBe("key_1");
      expect(await drained).toEqual({ cut: 0 });
    },
  );

  it("says to an HTTP/1.1 client in flight that its connection will close", async () => {
    const { server, begun, finish } = await startSlowServer();
    const connection = await rawConnection(server.port);
    connection.send(
      "POST /ichor.v1.AdminService/GetApiKey HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer root\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}",
    );
    await begun;
    const drained = server.listener.drain(longMs);
    finish();
    expect(await connection.closed()).toMatch(/^HTTP\/1\.1 200 [\s\S]*connection: close/i);
    expect(await drained).toEqual({ cut: 0 });
  });

  it("closes at once what is idle: silent, kept alive, HTTP/2 without streams", async () => {
    const server = await startFakeServer();
    const silent = await rawConnection(server.port);
    const keptAlive = await rawConnection(server.port);
    keptAlive.send("GET /livez HTTP/1.1\r\nHost: a\r\n\r\n");
    await keptAlive.until("alive");
    const half = await rawConnection(server.port);
    half.send("GET /livez HTTP/1.1\r\n");
    const sessions = new Http2SessionManager(server.url);
    await sessions.connect();
    expect(await server.listener.drain(longMs)).toEqual({ cut: 0 });
    await Promise.all([silent.closed(), keptAlive.closed(), half.closed()]);
    sessions.abort();
  });

  it("tells HTTP/2 clients to go away", async () => {
    const { server, begun, finish } = await startSlowServer();
    const session = connect(server.url);
    const goaway = new Promise((resolve) => session.once("goaway", resolve));
    const stream = session.request({
      ":method": "POST",
      ":path": "/ichor.v1.AdminService/GetApiKey",
      "content-type": "application/json",
      ...asRoot.headers,
    });
    stream.end("{}");
    await begun;
    const drained = server.listener.drain(longMs);
    expect(await goaway).toBe(0);
    finish();
    const status = await new Promise((resolve) => stream.once("response", (headers) => resolve(headers[":status"])));
    expect(status).toBe(200);
    stream.resume();
    expect(await drained).toEqual({ cut: 0 });
  });

  it("ends streams, after they have told", async () => {
    const server = await startFakeServer();
    const states = createClient(Health, createGrpcTransport({ baseUrl: server.url }))
      .watch({})
      [Symbol.asyncIterator]();
    expect((await states.next()).value?.status).toBe(1);
    server.readiness.drain();
    const drained = server.listener.drain(longMs);
    expect((await states.next()).value?.status).toBe(2);
    await expect(states.next()).rejects.toThrow("shutting down");
    expect(await drained).toEqual({ cut: 0 });
  });

  it("refuses a new call on a connection that it hasn't closed yet", async () => {
    const server = await startFakeServer();
    const client = createClient(AdminService, createGrpcTransport({ baseUrl: server.url }));
    await client.getApiKey({ keyId: "key_1" }, asRoot);
    server.readiness.drain();
    await expect(client.getApiKey({ keyId: "key_1" }, asRoot)).rejects.toThrow("shutting down");
    await server.listener.drain(longMs);
  });

  it("cuts at the deadline what will not end, and says how many", async () => {
    const { server, begun } = await startSlowServer();
    const answer = createClient(AdminService, createGrpcTransport({ baseUrl: server.url })).getApiKey({}, asRoot);
    const outcome = answer.then(
      () => "answered",
      () => "cut",
    );
    await begun;
    expect(await server.listener.drain(50)).toEqual({ cut: 1 });
    expect(await outcome).toBe("cut");
  });

  it("has nothing to do twice, and nothing before it listened", async () => {
    const server = await startFakeServer();
    expect(await server.listener.drain(longMs)).toEqual({ cut: 0 });
    expect(await server.listener.drain(longMs)).toEqual({ cut: 0 });
  });
});

describe("listen", () => {
  it("rejects if the port is taken", async () => {
    const server = await startFakeServer();
    const other = await startFakeServer();
    await expect(other.listener.listen("127.0.0.1", server.port)).rejects.toMatchObject({
      code: expect.stringMatching(/^E/),
    });
    await server.listener.drain(longMs);
    await other.listener.drain(longMs);
  });
});
