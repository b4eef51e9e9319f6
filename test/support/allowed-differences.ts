import { gunzipSync } from "node:zlib";
import type { UnaryCase } from "./unary-cases.ts";
import type { WireAnswer } from "./wire-requests.ts";

/** Something in which the two paths may differ. */
export interface AllowedDifference {
  readonly name: string;
  readonly reason: string;
  /** Gives an answer without the difference: the same for both paths. */
  readonly without: (answer: WireAnswer, unaryCase: UnaryCase) => WireAnswer;
}

/** The only differences between the fast path and connect-node; each must be seen at least once. */
export const allowedDifferences: readonly AllowedDifference[] = [
  {
    name: "a failed gRPC call is answered with trailers only",
    reason: "gRPC allows both; one frame instead of two halves the cost of a refusal",
    without: (answer) => {
      if (!isGrpc(answer, "application/grpc+") || Object.keys(answer.trailers).length > 0) return answer;
      const status = Object.entries(answer.headers).filter(
        ([name]) => name.startsWith("grpc-status") || name === "grpc-message",
      );
      return {
        ...answer,
        headers: without(
          answer.headers,
          status.map(([name]) => name),
        ),
        trailers: Object.fromEntries(status),
      };
    },
  },
  {
    name: "answers aren't compressed",
    reason: "hot methods answer with a few hundred bytes; to compress them costs more than to send them",
    without: (answer) => {
      const plain = { ...answer, headers: without(answer.headers, ["grpc-encoding", "content-encoding"]) };
      if (answer.headers["content-encoding"] === "gzip") return { ...plain, body: gunzipSync(answer.body) };
      return isGrpc(answer) ? { ...plain, body: uncompressed(answer.body) } : plain;
    },
  },
  {
    name: "the length of a body is told",
    reason: "the fast path knows the whole answer before it sends any of it",
    without: (answer) => ({ ...answer, headers: without(answer.headers, ["content-length", "transfer-encoding"]) }),
  },
  {
    name: "gRPC-Web's messages are encoded no more than needed",
    reason: "connect-node encodes the message of an error before it is in our hands; clients decode both alike",
    without: (answer) =>
      isGrpc(answer, "application/grpc-web") ? { ...answer, body: plainMessage(answer.body) } : answer,
  },
];

/** What no path can have in common with the other: times, ids of log lines, and what belongs to the connection. */
export function comparable(answer: WireAnswer): WireAnswer {
  return {
    ...answer,
    headers: maskedDetails(without(answer.headers, ["date", "connection", "keep-alive"])),
    trailers: maskedDetails(answer.trailers),
    body: Buffer.from(masked(answer.body.toString("latin1")), "latin1"),
  };
}

const uuid = /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g;
const masks = "00000000-0000-0000-0000-000000000000";

/** Hides log ids: in text, in base64 details of JSON, and in details of gRPC-Web trailers. */
function masked(text: string): string {
  return text
    .replace(uuid, masks)
    .replace(
      /("value":"|grpc-status-details-bin: )([A-Za-z0-9+/=]+)/g,
      (_, before, base64) => before + maskedBase64(base64),
    );
}

function maskedDetails(headers: Readonly<Record<string, string>>): Record<string, string> {
  const details = headers["grpc-status-details-bin"];
  return details === undefined ? headers : { ...headers, "grpc-status-details-bin": maskedBase64(details) };
}

function maskedBase64(base64: string): string {
  return Buffer.from(base64, "base64").toString("latin1").replace(uuid, masks);
}

function isGrpc({ headers }: WireAnswer, prefix = "application/grpc"): boolean {
  return headers["content-type"]?.startsWith(prefix) ?? false;
}

function uncompressed(body: Buffer): Buffer {
  if (body.length < 5 || ((body[0] ?? 0) & 1) === 0) return body;
  const end = 5 + body.readUInt32BE(1);
  const message = gunzipSync(body.subarray(5, end));
  const head = Buffer.alloc(5);
  head[0] = (body[0] ?? 0) & ~1;
  head.writeUInt32BE(message.length, 1);
  return Buffer.concat([head, message, uncompressed(body.subarray(end))]);
}

/** Decodes the message in the trailers at the end, and with it the length of their envelope. */
function plainMessage(body: Buffer): Buffer {
  const at = body.indexOf("grpc-message: ");
  const end = body.indexOf("\r\n", at);
  if (at < 5 || end < 0) return body;
  const message = Buffer.from(decodeURIComponent(body.subarray(at + 14, end).toString("latin1")));
  // The envelope's length differs with the encoding.
  return Buffer.concat([body.subarray(0, at - 5), body.subarray(at, at + 14), message, body.subarray(end)]);
}

function without(headers: Readonly<Record<string, string>>, names: readonly string[]): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !names.includes(name)));
}
