import { readFileSync } from "node:fs";
import { connect as connectTls } from "node:tls";
import { createClient } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport } from "@connectrpc/connect-node";
import { credentials, Metadata, makeGenericClientConstructor } from "@grpc/grpc-js";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { AdminService } from "../../gen/ichor/v1/admin_service_pb.ts";
import { makeCertificate } from "../support/certificate.ts";
import { type FakeServer, startFakeServer } from "../support/fake-server.ts";
import { httpText, rawConnection } from "../support/raw-connection.ts";
import { temporaryFolder } from "../support/server-process.ts";

const folder = temporaryFolder("tls");
const asRoot = { headers: { authorization: "Bearer root" } };
let server: FakeServer;
let cert: Buffer;

beforeAll(async () => {
  const { certFile, keyFile } = makeCertificate(folder.path);
  cert = readFileSync(certFile);
  server = await startFakeServer({
    tls: { cert, key: readFileSync(keyFile) },
    limits: { firstByteMs: 300, headersMs: 300 },
  });
});
afterAll(async () => {
  await server.listener.drain(1_000);
  folder.remove();
});

describe("TLS", () => {
  it.each(["1.1", "2"] as const)("serves Connect over HTTP/%s", async (httpVersion) => {
    expect(server.url).toMatch(/^https:/);
    const transport = createConnectTransport({ baseUrl: server.url, httpVersion, nodeOptions: { ca: cert } });
    const { apiKey } = await createClient(AdminService, transport).getApiKey({ keyId: "key_1" }, asRoot);
    expect(apiKey).toMatchObject({ id: "key_1", ownerId: "127.0.0.1" });
  });

  it("serves gRPC", async () => {
    const transport = createGrpcTransport({ baseUrl: server.url, nodeOptions: { ca: cert } });
    const { apiKey } = await createClient(AdminService, transport).getApiKey({ keyId: "key_1" }, asRoot);
    expect(apiKey?.id).toBe("key_1");
  });

  it("serves @grpc/grpc-js", async () => {
    const Client = makeGenericClientConstructor({}, "Raw");
    const client = new Client(new URL(server.url).host, credentials.createSsl(cert));
    const metadata = new Metadata();
    metadata.set("authorization", "Bearer root");
    const asIs = (bytes: Buffer) => bytes;
    const error = await new Promise((resolve) =>
      client.makeUnaryRequest("/ichor.v1.AdminService/GetApiKey", asIs, asIs, Buffer.alloc(0), metadata, resolve),
    );
    expect(error).toBeNull();
    client.close();
  });

  it.each([
    [["h2", "http/1.1"], "h2"],
    [["http/1.1"], "http/1.1"],
  ])("agrees by ALPN: %j → %s", async (ALPNProtocols, agreed) => {
    const { socket } = await rawConnection(server.port, { ALPNProtocols });
    expect((socket as ReturnType<typeof connectTls>).alpnProtocol).toBe(agreed);
    socket.destroy();
  });

  it("refuses versions before 1.2", async () => {
    const refused = new Promise((resolve) => {
      const socket = connectTls({
        port: server.port,
        host: "127.0.0.1",
        rejectUnauthorized: false,
        minVersion: "TLSv1",
        maxVersion: "TLSv1.1",
        ciphers: "DEFAULT@SECLEVEL=0",
      });
      socket.once("error", (error: NodeJS.ErrnoException) => resolve(error.code));
      socket.once("secureConnect", () => resolve("accepted"));
    });
    expect(await refused).not.toBe("accepted");
  });

  it("is not spoken with clients that speak in clear", async () => {
    expect(await httpText(server.port, "GET /livez HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")).not.toContain(
      "alive",
    );
  });

  it("ends a connection without a handshake", async () => {
    await (await rawConnection(server.port)).closed();
  });

  it("ends a connection that asks nothing", async () => {
    await (await rawConnection(server.port, { ALPNProtocols: ["http/1.1"] })).closed();
  });

  it("ends a connection that sends half of its headers", async () => {
    const connection = await rawConnection(server.port, { ALPNProtocols: ["http/1.1"] });
    connection.send("GET /livez HTTP/1.1\r\nHost: a\r\nX: ");
    expect(await connection.closed()).toMatch(/^HTTP\/1\.1 408 /);
  });
});
