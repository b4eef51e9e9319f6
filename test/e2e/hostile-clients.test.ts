import { request } from "node:http";
import { connect, constants } from "node:http2";
import { gzipSync } from "node:zlib";
import {
  credentials,
  status as grpcStatus,
  Metadata,
  makeGenericClientConstructor,
  type ServiceError,
} from "@grpc/grpc-js";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type FakeServer, startFakeServer } from "../support/fake-server.ts";
import { httpText, rawConnection } from "../support/raw-connection.ts";

const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const emptySettings = Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]);
const method = "/ichor.v1.AdminService/IssueApiKey";

let server: FakeServer;
beforeAll(async () => {
  const limits = {
    firstByteMs: 150,
    headersMs: 300,
    requestMs: 600,
    keepAliveMs: 300,
    sessionIdleMs: 300,
    pingMs: 200,
  };
  server = await startFakeServer({ limits });
});
afterAll(async () => {
  await server.listener.drain(1_000);
});

describe("a connection that doesn't get on", () => {
  it.each([
    ["says nothing", ""],
    ["sends one byte that may become HTTP/2", "P"],
  ])("is closed if it %s", async (_what, bytes) => {
    const connection = await rawConnection(server.port);
    connection.send(bytes);
    expect(await connection.closed()).toBe("");
  });

  it.each([
    ["sends half of its headers", `POST ${method} HTTP/1.1\r\nHost: a\r\nX-Slow: `],
    [
      "sends half of its body",
      `POST ${method} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer root\r\nContent-Type: application/json\r\nContent-Length: 10\r\n\r\n{`,
    ],
  ])("is answered 408 and closed if it %s", async (_what, bytes) => {
    const connection = await rawConnection(server.port);
    connection.send(bytes);
    expect(await connection.closed()).toMatch(/^HTTP\/1\.1 408 /);
  });

  it("is closed if it drips its headers one by one", async () => {
    const connection = await rawConnection(server.port);
    connection.send("GET /livez HTTP/1.1\r\nHost: a\r\n");
    const dripping = setInterval(() => connection.send("X: y\r\n"), 20);
    expect(await connection.closed()).toMatch(/^HTTP\/1\.1 408 /);
    clearInterval(dripping);
  });

  it("is closed if it is kept alive for nothing", async () => {
    const connection = await rawConnection(server.port);
    connection.send("GET /livez HTTP/1.1\r\nHost: a\r\n\r\n");
    expect(await connection.closed()).toMatch(/^HTTP\/1\.1 200 /);
  });

  it("is closed if it sends the preface of HTTP/2 and nothing else", async () => {
    const connection = await rawConnection(server.port);
    connection.send(preface);
    await connection.closed();
  });

  it("is closed if it answers no ping", async () => {
    const connection = await rawConnection(server.port);
    connection.send(preface);
    connection.send(emptySettings);
    // A stream that stays open, so that the connection isn't idle: HEADERS of GET /livez, without END_STREAM.
    connection.send(Buffer.concat([frameHead(8, 1, 4, 1), Buffer.from([0x82, 0x86, 0x44, 2, 0x2f, 0x78, 0x41, 0])]));
    await connection.closed();
  });

  it("is not closed while it has a stream, however quiet", async () => {
    const session = connect(server.url);
    const stream = session.request({
      ":method": "POST",
      ":path": "/grpc.health.v1.Health/Watch",
      "content-type": "application/grpc",
    });
    stream.end(Buffer.from([0, 0, 0, 0, 0]));
    stream.resume();
    let pings = 0;
    await new Promise<void>((resolve) => {
      session.on("ping", () => {
        pings += 1;
        // Later than the time after which an idle connection is closed.
        if (pings === 4) resolve();
      });
    });
    expect(session.closed).toBe(false);
    session.destroy();
  });
});

describe("a request that is too large", () => {
  const chunk = Buffer.alloc(64 * 1024, 0x20);

  it("is answered over HTTP/1.1, and its connection closed while it still sends", async () => {
    const answered = new Promise<{ status: number | undefined; body: string }>((resolve, reject) => {
      const upload = request(`${server.url}${method}`, {
        method: "POST",
        headers: { "content-type": "application/json", authorization: "Bearer root" },
      });
      const more = setInterval(() => upload.write(chunk), 1);
      upload.once("close", () => clearInterval(more));
      upload.once("response", async (response) => {
        upload.on("error", () => {});
        let body = "";
        for await (const part of response) body += part;
        resolve({ status: response.statusCode, body });
      });
      upload.once("error", reject);
    });
    const { status, body } = await answered;
    expect(status).toBe(429);
    expect(JSON.parse(body)).toMatchObject({
      code: "resource_exhausted",
      details: [{ debug: { reason: "REQUEST_TOO_LARGE" } }],
    });
  });

  it.each(["application/json", "application/grpc", "application/grpc-web+proto"])(
    "is answered over HTTP/2 and its stream closed without an error while it still sends: %s",
    async (contentType) => {
      const session = connect(server.url);
      const stream = session.request({
        ":method": "POST",
        ":path": method,
        "content-type": contentType,
        authorization: "Bearer root",
      });
      let trailers: Record<string, unknown> = {};
      let body = "";
      stream.once("trailers", (received) => (trailers = received));
      stream.on("data", (bytes) => (body += bytes.toString("latin1")));
      const head = new Promise<Record<string, unknown>>((resolve) => stream.once("response", resolve));
      const closed = new Promise<void>((resolve) => stream.once("close", () => resolve()));
      // An envelope that promises 16 MiB, for those that have envelopes.
      stream.write(Buffer.from([0, 1, 0, 0, 0]));
      const more = setInterval(() => stream.writable && stream.write(chunk), 1);
      stream.once("close", () => clearInterval(more));
      const { ":status": status, "grpc-status": early } = await head;
      await closed;
      expect(stream.rstCode).toBe(constants.NGHTTP2_NO_ERROR);
      if (contentType === "application/json")
        expect([status, body]).toEqual([429, expect.stringContaining("REQUEST_TOO_LARGE")]);
      else if (contentType === "application/grpc") expect(trailers["grpc-status"] ?? early).toBe("8");
      else expect(body).toContain("grpc-status: 8");
      // The connection lives on.
      const next = session.request({ ":path": "/livez" });
      expect(await new Promise((resolve) => next.once("response", (headers) => resolve(headers[":status"])))).toBe(200);
      session.destroy();
    },
  );

  it("is answered to @grpc/grpc-js, which sends all of it before it looks", async () => {
    const Client = makeGenericClientConstructor({}, "Raw");
    const client = new Client(new URL(server.url).host, credentials.createInsecure());
    const metadata = new Metadata();
    metadata.set("authorization", "Bearer root");
    const asIs = (bytes: Buffer) => bytes;
    const error = await new Promise<ServiceError | null>((resolve) =>
      client.makeUnaryRequest(method, asIs, asIs, Buffer.alloc(3 * 1024 * 1024, 0x20), metadata, resolve),
    );
    expect(error?.code).toBe(grpcStatus.RESOURCE_EXHAUSTED);
    client.close();
  });
});

describe("a stranger's request", () => {
  const large = Buffer.alloc(100 * 1024, 0x20);

  it.each([method, "/ichor.v1.AdminService/VerifyCredential"])(
    "is refused before its body has come, and leaves the connection to others: %s",
    async (path) => {
      const session = connect(server.url);
      const stream = session.request({ ":method": "POST", ":path": path, "content-type": "application/json" });
      stream.write(large);
      const head = await new Promise<Record<string, unknown>>((resolve) => stream.once("response", resolve));
      expect(head[":status"]).toBe(401);
      const next = session.request({ ":path": "/livez" });
      expect(await new Promise((resolve) => next.once("response", (headers) => resolve(headers[":status"])))).toBe(200);
      session.destroy();

      const connection = await rawConnection(server.port);
      connection.send(
        `POST ${path} HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 500000\r\n\r\n`,
      );
      connection.send(large);
      expect(await connection.until("CREDENTIAL_MISSING")).toMatch(/^HTTP\/1\.1 401 /);
      connection.socket.destroy();
    },
  );

  it("is refused as such, whatever is wrong with it beside", async () => {
    const bomb = gzipSync(Buffer.alloc(8 * 1024 * 1024));
    for (const [encoding, body] of [["identity", Buffer.from("{")] as const, ["gzip", bomb] as const]) {
      const headers = { "content-type": "application/json", "content-encoding": encoding };
      const answer = await fetch(`${server.url}${method}`, { method: "POST", headers, body });
      expect(answer.status).toBe(401);
    }
  });
});

describe("a header that can be said once", () => {
  const paths = [method, "/ichor.v1.AdminService/VerifyCredential"];

  it.each(paths.flatMap((path) => ["Authorization", "content-type", "Host"].map((name) => [path, name])))(
    "is refused twice over HTTP/1.1: %s %s",
    async (path, name) => {
      const headers = ["Host: a", "Content-Type: application/json", "Authorization: Bearer root", "Content-Length: 2"];
      const again = headers.filter((line) => line.toLowerCase().startsWith(name.toLowerCase()));
      const lines = [`POST ${path} HTTP/1.1`, ...headers, ...again, "Connection: close", "", "{}"];
      expect(await httpText(server.port, lines.join("\r\n"))).toMatch(/^HTTP\/1\.1 400 .*is repeated/s);
    },
  );

  it.each(paths)("is refused twice over HTTP/2: %s", async (path) => {
    const connection = await rawConnection(server.port);
    const block = [
      [":method", "POST"],
      [":scheme", "http"],
      [":path", path],
      [":authority", "a"],
      ["content-type", "application/json"],
      ["authorization", "Bearer root"],
      ["authorization", "Bearer reader"],
    ].map(([name = "", value = ""]) => {
      // HPACK: a literal without indexing, its name too (RFC 7541 section 6.2.2).
      return Buffer.concat([
        Buffer.from([0, name.length]),
        Buffer.from(name),
        Buffer.from([value.length]),
        Buffer.from(value),
      ]);
    });
    const headers = Buffer.concat(block);
    connection.send(preface);
    connection.send(emptySettings);
    // HEADERS with END_STREAM and END_HEADERS.
    connection.send(Buffer.concat([frameHead(headers.length, 1, 5, 1), headers]));
    expect(await connection.until("is repeated")).toContain("is repeated");
    connection.socket.destroy();
  });
});

describe("too many", () => {
  it("connections are closed at once", async () => {
    const few = await startFakeServer({ limits: { connectionsMax: 1 } });
    const first = await rawConnection(few.port);
    first.send("GET /livez HTTP/1.1\r\nHost: a\r\n\r\n");
    await first.until("alive");
    expect(await (await rawConnection(few.port)).closed()).toBe("");
    expect(few.log.lines).toMatchObject([{ level: "warn", fields: { connectionsMax: 1 } }]);
    await few.listener.drain(1_000);
  });

  it("streams of one connection are refused", async () => {
    const session = connect(server.url);
    const settings = await new Promise<{ maxConcurrentStreams?: number }>((resolve) =>
      session.once("remoteSettings", resolve),
    );
    expect(settings.maxConcurrentStreams).toBe(250);
    session.destroy();
  });
});

/** Length, type, flags, stream. */
function frameHead(length: number, type: number, flags: number, stream: number): Buffer {
  return Buffer.from([0, 0, length, type, flags, 0, 0, 0, stream]);
}
