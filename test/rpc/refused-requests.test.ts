import { gzipSync } from "node:zlib";
import { create, toBinary } from "@bufbuild/protobuf";
import { Code, ConnectError, createConnectRouter, createContextValues } from "@connectrpc/connect";
import { createAsyncIterable, readAllBytes, type UniversalServerResponse } from "@connectrpc/connect/protocol";
import { errorFromJsonBytes } from "@connectrpc/connect/protocol-connect";
import { findTrailerError } from "@connectrpc/connect/protocol-grpc";
import { trailerParse } from "@connectrpc/connect/protocol-grpc-web";
import { describe, expect, it } from "vitest";
import { BadRequestSchema, ErrorInfoSchema } from "../../gen/google/rpc/error_details_pb.ts";
import { IssueApiKeyRequestSchema } from "../../gen/ichor/v1/admin_service_pb.ts";
import { peerAddressKey } from "../../services/rpc/connect-routes.ts";
import { fakeRpc } from "../support/fake-server.ts";

const method = "ichor.v1.AdminService/IssueApiKey";
const requestBytesMax = 1024 * 1024;

/** How a protocol frames one message, and where it puts an error. */
interface Protocol {
  readonly contentType: (json: boolean) => string;
  readonly frame: (message: Uint8Array, compressed: boolean) => Uint8Array;
  readonly encodingHeader: string;
  readonly errorOf: (answer: UniversalServerResponse, body: Uint8Array) => ConnectError | undefined;
}

const protocols: Readonly<Record<string, Protocol>> = {
  Connect: {
    contentType: (json) => (json ? "application/json" : "application/proto"),
    frame: (message) => message,
    encodingHeader: "content-encoding",
    errorOf: ({ status }, body) =>
      status === 200 ? undefined : errorFromJsonBytes(body, undefined, new ConnectError("?")),
  },
  gRPC: {
    contentType: (json) => (json ? "application/grpc+json" : "application/grpc"),
    frame: envelope,
    encodingHeader: "grpc-encoding",
    errorOf: ({ trailer }) => findTrailerError(trailer ?? new Headers()),
  },
  "gRPC-Web": {
    contentType: (json) => (json ? "application/grpc-web+json" : "application/grpc-web+proto"),
    frame: envelope,
    encodingHeader: "grpc-encoding",
    errorOf: (_answer, body) => findTrailerError(trailerParse(body.subarray(body.lastIndexOf(0x80) + 5))),
  },
};

function envelope(message: Uint8Array, compressed: boolean): Uint8Array {
  const head = new DataView(new ArrayBuffer(5));
  head.setUint8(0, compressed ? 1 : 0);
  head.setUint32(1, message.byteLength);
  return Buffer.concat([new Uint8Array(head.buffer), message]);
}

interface Sent {
  readonly message: Uint8Array | string;
  readonly json: boolean;
  readonly gzip?: boolean;
  readonly header?: Readonly<Record<string, string>>;
  /** Instead of the framed message. */
  readonly body?: AsyncIterable<Uint8Array>;
}

async function send(protocol: Protocol, { message, json, gzip = false, header = {}, body }: Sent) {
  const { routes, records } = fakeRpc();
  const router = createConnectRouter();
  routes(router);
  const handler = router.handlers.find(({ requestPath }) => requestPath === `/${method}`);
  if (handler === undefined) throw new Error(`${method} isn't served`);
  const bytes = typeof message === "string" ? Buffer.from(message) : message;
  const framed = protocol.frame(gzip ? gzipSync(bytes) : bytes, gzip);
  const answer = await handler({
    httpVersion: "2",
    url: `http://ichor/${method}`,
    method: "POST",
    header: new Headers({
      "content-type": protocol.contentType(json),
      authorization: "Bearer root",
      ...(gzip ? { [protocol.encodingHeader]: "gzip" } : {}),
      ...header,
    }),
    // In small pieces, as a network may.
    body: body ?? createAsyncIterable(pieces(framed)),
    signal: new AbortController().signal,
    contextValues: createContextValues().set(peerAddressKey, "192.0.2.7"),
  });
  const answered = await readAllBytes(answer.body ?? createAsyncIterable([]), 1e9);
  const error = protocol.errorOf(answer, answered);
  return { error, info: error?.findDetails(ErrorInfoSchema)[0], records };
}

function pieces(bytes: Uint8Array): Uint8Array[] {
  const size = Math.max(1, Math.ceil(bytes.byteLength / 7));
  return Array.from({ length: Math.ceil(bytes.byteLength / size) }, (_, i) => bytes.subarray(i * size, (i + 1) * size));
}

const issue = (name: string) => toBinary(IssueApiKeyRequestSchema, create(IssueApiKeyRequestSchema, { name }));

describe.each(Object.entries(protocols))("%s", (_name, protocol) => {
  it.each<[string, Sent]>([
    ["JSON", { message: '{"name":"ci"}', json: true }],
    ["JSON by proto names", { message: '{"owner_id":"acme"}', json: true }],
    ["binary", { message: issue("ci"), json: false }],
    ["an empty binary message", { message: new Uint8Array(), json: false }],
    ["compressed JSON", { message: '{"name":"ci"}', json: true, gzip: true }],
    ["compressed binary", { message: issue("ci"), json: false, gzip: true }],
    ["the largest request", { message: issue("n".repeat(requestBytesMax - 4)), json: false }],
  ])("takes %s", async (_what, sent) => {
    const { error, records } = await send(protocol, sent);
    expect(error).toBeUndefined();
    expect(records).toMatchObject([{ method, peerAddress: "192.0.2.7", failure: undefined }]);
  });

  it.each<[string, Sent, string?]>([
    ["malformed JSON", { message: "{", json: true }],
    ["JSON that is no object", { message: "[]", json: true }],
    ["an unknown JSON field", { message: '{"name":"ci","maxTtl":"1s"}', json: true }, "maxTtl"],
    ["a field twice", { message: '{"ownerId":"a","owner_id":"b"}', json: true }, "owner_id"],
    ["a JSON value of the wrong type", { message: '{"name":7}', json: true }, "name"],
    ["an unknown enum value", { message: '{"visibility":"VISIBILITY_SECRETIVE"}', json: true }],
    ["malformed binary", { message: new Uint8Array([0x0a, 0xff]), json: false }],
    ["compressed malformed JSON", { message: "{", json: true, gzip: true }],
  ])("refuses %s with INVALID_FIELD", async (_what, sent, field) => {
    const { error, info, records } = await send(protocol, sent);
    expect(error?.code).toBe(Code.InvalidArgument);
    expect(info).toMatchObject({ reason: "INVALID_FIELD", domain: "ichor" });
    const refused = error?.findDetails(BadRequestSchema)[0]?.fieldViolations.map((violation) => violation.field);
    expect(refused).toEqual(field === undefined ? undefined : [field]);
    expect(records).toMatchObject([{ method, peerAddress: "192.0.2.7", failure: { reason: "INVALID_FIELD" } }]);
  });

  it.each<[string, Sent]>([
    ["one byte too many", { message: issue("n".repeat(requestBytesMax - 3)), json: false }],
    [
      "a length that it promises",
      { message: "", json: true, header: { "content-length": String(requestBytesMax * 9) } },
    ],
    [
      "a small message that is large when decompressed",
      { message: issue("n".repeat(requestBytesMax)), json: false, gzip: true },
    ],
  ])("refuses %s with REQUEST_TOO_LARGE", async (_what, sent) => {
    const { error, info, records } = await send(protocol, sent);
    expect(error?.code).toBe(Code.ResourceExhausted);
    expect(info?.reason).toBe("REQUEST_TOO_LARGE");
    expect(records).toMatchObject([{ failure: { reason: "REQUEST_TOO_LARGE" } }]);
  });

  it("stops reading a request without end", async () => {
    let sentBytes = 0;
    async function* endless() {
      for (;;) {
        sentBytes += 65_536;
        yield new Uint8Array(65_536);
      }
    }
    const { info } = await send(protocol, { message: "", json: true, body: endless() });
    expect(info?.reason).toBe("REQUEST_TOO_LARGE");
    expect(sentBytes).toBeLessThan(2 * requestBytesMax);
  });

  it("takes a client that leaves while it sends for no fault", async () => {
    async function* broken() {
      yield new Uint8Array(3);
      throw Object.assign(new Error("aborted"), { code: "ECONNRESET" });
    }
    const { error, records } = await send(protocol, { message: "", json: true, body: broken() });
    expect(error?.code).toBe(Code.Canceled);
    expect(records).toMatchObject([{ failure: { level: "info" } }]);
  });

  it("leaves an encoding that it doesn't know to connect's own answer", async () => {
    const sent: Sent = { message: '{"name":"ci"}', json: true, header: { [protocol.encodingHeader]: "zstd" } };
    const { error, info } = await send(protocol, sent);
    expect(error?.code).toBe(Code.Unimplemented);
    expect(info).toBeUndefined();
  });
});
