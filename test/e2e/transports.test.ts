import { create, toBinary } from "@bufbuild/protobuf";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import {
  type ConnectTransportOptions,
  compressionGzip,
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
} from "@connectrpc/connect-node";
import { credentials, Metadata, makeGenericClientConstructor, type ServiceError } from "@grpc/grpc-js";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ErrorInfoSchema } from "../../gen/google/rpc/error_details_pb.ts";
import { Health } from "../../gen/grpc/health/v1/health_pb.ts";
import { AdminService, EndGracePeriodRequestSchema } from "../../gen/ichor/v1/admin_service_pb.ts";
import { IchorError } from "../../services/core/errors.ts";
import { bufCurlClient } from "../support/clients/buf-curl.ts";
import type { MakeClient } from "../support/clients/client.ts";
import { connectJsonClient } from "../support/clients/connect-json.ts";
import { grpcJsClient } from "../support/clients/grpc-js.ts";
import { pythonClient } from "../support/clients/python.ts";
import { type FakeServer, startFakeServer } from "../support/fake-server.ts";
import { requirement } from "../support/requirements.ts";

let server: FakeServer;
beforeAll(async () => {
  server = await startFakeServer({
    methods: {
      endGracePeriod: async ({ keyId }) => {
        throw new IchorError("KEY_NOT_FOUND", `${keyId}: no such key, 100 % sure (ü)`);
      },
    },
  });
});
afterAll(async () => {
  await server.listener.drain(1_000);
});

type Compressing = Pick<ConnectTransportOptions, "sendCompression" | "compressMinBytes">;

const transports = {
  "Connect JSON over HTTP/1.1": (baseUrl: string, options?: Compressing) =>
    createConnectTransport({ baseUrl, ...options, httpVersion: "1.1", useBinaryFormat: false }),
  "Connect binary over HTTP/1.1": (baseUrl: string, options?: Compressing) =>
    createConnectTransport({ baseUrl, ...options, httpVersion: "1.1", useBinaryFormat: true }),
  "Connect JSON over HTTP/2": (baseUrl: string, options?: Compressing) =>
    createConnectTransport({ baseUrl, ...options, httpVersion: "2", useBinaryFormat: false }),
  "Connect binary over HTTP/2": (baseUrl: string, options?: Compressing) =>
    createConnectTransport({ baseUrl, ...options, httpVersion: "2", useBinaryFormat: true }),
  "gRPC-Web over HTTP/1.1": (baseUrl: string, options?: Compressing) =>
    createGrpcWebTransport({ baseUrl, ...options, httpVersion: "1.1" }),
  "gRPC-Web JSON over HTTP/2": (baseUrl: string, options?: Compressing) =>
    createGrpcWebTransport({ baseUrl, ...options, httpVersion: "2", useBinaryFormat: false }),
  "gRPC over HTTP/2": (baseUrl: string, options?: Compressing) => createGrpcTransport({ baseUrl, ...options }),
  "gRPC JSON over HTTP/2": (baseUrl: string, options?: Compressing) =>
    createGrpcTransport({ baseUrl, ...options, useBinaryFormat: false }),
};
const asRoot = { headers: { authorization: "Bearer root" } };

describe.each(Object.entries(transports))("%s", (_name, makeTransport) => {
  it("answers a call, and a failed one with its reason", async () => {
    const client = createClient(AdminService, makeTransport(server.url));
    const { apiKey } = await client.getApiKey({ keyId: "key_1" }, asRoot);
    expect(apiKey).toMatchObject({ id: "key_1", name: "key_root", ownerId: "127.0.0.1" });

    const error = await client.getApiKey({ keyId: "key_none" }, asRoot).catch(ConnectError.from);
    expect(error).toMatchObject({ code: Code.NotFound, rawMessage: "no such key" });
    expect((error as ConnectError).findDetails(ErrorInfoSchema)).toMatchObject([
      { reason: "KEY_NOT_FOUND", domain: "ichor", metadata: { key_id: "key_none" } },
    ]);
  });

  it("takes compressed requests, and compresses large answers for clients that can read them", async () => {
    const compressing = { sendCompression: compressionGzip, compressMinBytes: 1 };
    const client = createClient(AdminService, makeTransport(server.url, compressing));
    const name = "n".repeat(5_000);
    let encoding: string | null = null;
    const onHeader = (header: Headers): void => {
      encoding = header.get("content-encoding") ?? header.get("grpc-encoding");
    };
    expect((await client.issueApiKey({ name }, { ...asRoot, onHeader })).apiKey?.name).toBe(name);
    expect(encoding).toBe("gzip");
  });

  it("says UNIMPLEMENTED where nothing is served", async () => {
    const lost = createClient(AdminService, makeTransport(`${server.url}/elsewhere`));
    await expect(lost.getApiKey({}, asRoot)).rejects.toMatchObject({ code: Code.Unimplemented });
  });

  it("streams health", async () => {
    const client = createClient(Health, makeTransport(server.url));
    const ended = new AbortController();
    for await (const { status } of client.watch({}, { signal: ended.signal })) {
      expect(status).toBe(1);
      break;
    }
    ended.abort(new Error("seen enough"));
  });
});

/** One scenario for the clients of others. */
function answersForeignClient(makeClient: MakeClient): void {
  it("answers a call, and failed ones with their reasons", { timeout: 60_000 }, async () => {
    const client = await makeClient(server.url, "root");
    const stranger = await makeClient(server.url, "nobody");
    try {
      const { body } = await client.call("AdminService/GetApiKey", { keyId: "key_1" });
      expect(body.apiKey).toMatchObject({ id: "key_1", name: "key_root" });
      expect(await client.call("AdminService/GetApiKey", { keyId: "key_none" })).toMatchObject({
        reason: "KEY_NOT_FOUND",
      });
      expect(await client.call("AdminService/DeleteApiKey", { keyId: "key_1" })).toMatchObject({ reason: "INTERNAL" });
      expect(await stranger.call("AdminService/GetApiKey", { keyId: "key_1" })).toMatchObject({
        reason: "CREDENTIAL_REFUSED",
      });
    } finally {
      await client.close();
      await stranger.close();
    }
  });
}

describe("@grpc/grpc-js", () => {
  it("shows messages as they are", async () => {
    const Client = makeGenericClientConstructor({}, "Raw");
    const client = new Client(new URL(server.url).host, credentials.createInsecure());
    const metadata = new Metadata();
    metadata.set("authorization", "Bearer root");
    const bytes = Buffer.from(
      toBinary(EndGracePeriodRequestSchema, create(EndGracePeriodRequestSchema, { keyId: "key_1" })),
    );
    const asIs = (text: Buffer) => text;
    const error = await new Promise<ServiceError | null>((resolve) =>
      client.makeUnaryRequest("/ichor.v1.AdminService/EndGracePeriod", asIs, asIs, bytes, metadata, resolve),
    );
    expect(error?.details).toBe("key_1: no such key, 100 % sure (ü)");
    client.close();
  });
});

describe("curl", () => answersForeignClient(connectJsonClient));
describe("@grpc/grpc-js with stubs made from the protos", () => answersForeignClient(grpcJsClient));
describe.each([
  ["connect", "grpc-v1"],
  ["grpc", "grpc-v1alpha"],
  ["grpcweb", "grpc-v1"],
] as const)("buf curl: %s, services known by reflection %s alone", (protocol, reflection) => {
  answersForeignClient(bufCurlClient(protocol, reflection));
});

const python = await requirement("python");
python.describe("Python's grpcio", (interpreter) => answersForeignClient(pythonClient(interpreter)));
