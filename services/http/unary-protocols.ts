import { create, type DescMessage, type MessageInitShape, toBinary, toJsonString } from "@bufbuild/protobuf";
import type { ConnectError } from "@connectrpc/connect";
import {
  codeToHttpStatus,
  errorToJsonBytes,
  parseTimeout as parseConnectTimeout,
} from "@connectrpc/connect/protocol-connect";
import { parseTimeout as parseGrpcTimeout } from "@connectrpc/connect/protocol-grpc";
import { grpcStatusOf } from "../rpc/grpc-message.ts";
import type { UnaryMethod } from "../rpc/method-registry.ts";
import { envelopeBytes } from "../rpc/request-message.ts";

/** What a method answers. */
type AnswerInit = MessageInitShape<DescMessage>;

/** An answer as HTTP has it, whatever its version. */
export interface UnaryAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: Uint8Array | string;
  /** Only gRPC has some: HTTP/2 sends them after the body. */
  readonly trailers?: Readonly<Record<string, string>>;
}

/** How one content type asks and answers. */
export interface UnaryProtocol {
  readonly json: boolean;
  /** Whether messages stand in envelopes. */
  readonly enveloped: boolean;
  /** Whether HTTP/1.1 can carry it. */
  readonly onHttp1: boolean;
  /** The header that tells how requests are compressed. */
  readonly encodingHeader: string;
  readonly timeoutHeader: string;
  /** Ms; undefined: not a timeout. */
  timeoutMs(value: string): number | undefined;
  success(method: UnaryMethod, answer: AnswerInit): UnaryAnswer;
  failure(error: ConnectError): UnaryAnswer;
}

const trailersFlag = 0x80;
const jsonType = "application/json";

function connect(json: boolean): UnaryProtocol {
  const headers = { "content-type": json ? jsonType : "application/proto" };
  return {
    json,
    enveloped: false,
    onHttp1: true,
    encodingHeader: "content-encoding",
    timeoutHeader: "connect-timeout-ms",
    timeoutMs: (value) => wellFormed(parseConnectTimeout(value, Number.POSITIVE_INFINITY)),
    success: (method, answer) => ({ status: 200, headers, body: encode(method, answer, json) }),
    failure: (error) => ({
      status: codeToHttpStatus(error.code),
      headers: { "content-type": jsonType },
      body: errorToJsonBytes(error, undefined),
    }),
  };
}

const grpcOk = { "grpc-status": "0" };

function grpc(json: boolean): UnaryProtocol {
  const headers = { "content-type": `application/grpc+${json ? "json" : "proto"}` };
  return {
    ...anyGrpc(json),
    onHttp1: false,
    success: (method, answer) => ({
      status: 200,
      headers,
      body: envelope(0, encode(method, answer, json)),
      trailers: grpcOk,
    }),
    // Trailers-Only, in gRPC's words: half of what a body and its trailers cost.
    failure: (error) => ({ status: 200, headers: { ...headers, ...grpcStatusOf(error) } }),
  };
}

function grpcWeb(json: boolean): UnaryProtocol {
  const headers = { "content-type": `application/grpc-web+${json ? "json" : "proto"}` };
  const ok = envelope(trailersFlag, trailerText(grpcOk));
  return {
    ...anyGrpc(json),
    onHttp1: true,
    success: (method, answer) => ({
      status: 200,
      headers,
      body: Buffer.concat([envelope(0, encode(method, answer, json)), ok]),
    }),
    failure: (error) => ({ status: 200, headers, body: envelope(trailersFlag, trailerText(grpcStatusOf(error))) }),
  };
}

function anyGrpc(json: boolean) {
  return {
    json,
    enveloped: true,
    encodingHeader: "grpc-encoding",
    timeoutHeader: "grpc-timeout",
    timeoutMs: (value: string) => wellFormed(parseGrpcTimeout(value, Number.POSITIVE_INFINITY)),
  };
}

/** The common spellings of the content types of unary calls, each with its protocol. */
export const unaryProtocols: ReadonlyMap<string, UnaryProtocol> = new Map([
  ["application/json", connect(true)],
  ["application/json; charset=utf-8", connect(true)],
  ["application/json;charset=utf-8", connect(true)],
  ["application/proto", connect(false)],
  ["application/grpc", grpc(false)],
  ["application/grpc+proto", grpc(false)],
  ["application/grpc+json", grpc(true)],
  ["application/grpc-web", grpcWeb(false)],
  ["application/grpc-web+proto", grpcWeb(false)],
  ["application/grpc-web+json", grpcWeb(true)],
]);

function encode({ desc, hot }: UnaryMethod, answer: AnswerInit, json: boolean): Uint8Array | string {
  const quick = json ? hot?.codec?.writeJson(answer) : hot?.codec?.writeBytes(answer);
  if (quick !== undefined) return quick;
  const message = create(desc.output, answer);
  return json ? toJsonString(desc.output, message) : toBinary(desc.output, message);
}

function envelope(flags: number, message: Uint8Array | string): Buffer {
  const length = Buffer.byteLength(message);
  const bytes = Buffer.allocUnsafe(envelopeBytes + length);
  bytes[0] = flags;
  bytes.writeUInt32BE(length, 1);
  if (typeof message === "string") bytes.write(message, envelopeBytes);
  else bytes.set(message, envelopeBytes);
  return bytes;
}

function trailerText(trailers: Readonly<Record<string, string>>): string {
  return Object.entries(trailers)
    .map(([name, value]) => `${name}: ${value}\r\n`)
    .join("");
}

function wellFormed({
  timeoutMs,
  error,
}: {
  timeoutMs?: number;
  error?: ConnectError | undefined;
}): number | undefined {
  return error === undefined ? timeoutMs : undefined;
}
