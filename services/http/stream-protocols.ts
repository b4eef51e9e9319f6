import type { ServerHttp2Stream } from "node:http2";
import type { ConnectError } from "@connectrpc/connect";
import { endStreamFlag, endStreamToJson } from "@connectrpc/connect/protocol-connect";
import { grpcStatusOf } from "../rpc/grpc-message.ts";
import { envelopeBytes } from "../rpc/request-message.ts";

/** How one content type begins and ends a stream of answers over HTTP/2; the messages between are the same in all. */
export interface StreamProtocol {
  /** The headers that tell how requests are compressed, and how long the client waits. */
  readonly encodingHeader: string;
  readonly timeoutHeader: string;
  respond(stream: ServerHttp2Stream): void;
  /** Ends it; with an error also if nothing was answered yet. */
  end(stream: ServerHttp2Stream, error: ConnectError | undefined): void;
}

const grpcHeaders = { ":status": 200, "content-type": "application/grpc+proto" };

const grpc: StreamProtocol = {
  encodingHeader: "grpc-encoding",
  timeoutHeader: "grpc-timeout",
  respond: (stream) => stream.respond(grpcHeaders, { waitForTrailers: true }),
  end(stream, error) {
    const status = error === undefined ? { "grpc-status": "0" } : grpcStatusOf(error);
    if (!stream.headersSent) {
      stream.respond({ ...grpcHeaders, ...status }, { endStream: true });
      return;
    }
    stream.once("wantTrailers", () => stream.sendTrailers(status));
    stream.end();
  },
};

const connectHeaders = { ":status": 200, "content-type": "application/connect+proto" };

const connect: StreamProtocol = {
  encodingHeader: "connect-content-encoding",
  timeoutHeader: "connect-timeout-ms",
  respond: (stream) => stream.respond(connectHeaders),
  end(stream, error) {
    if (!stream.headersSent) stream.respond(connectHeaders);
    stream.end(endOfStream(error));
  },
};

/** The protocols of streams that are served past connect; every other one is connect's. */
export const streamProtocols: ReadonlyMap<string, StreamProtocol> = new Map([
  ["application/grpc", grpc],
  ["application/grpc+proto", grpc],
  ["application/connect+proto", connect],
]);

/** Connect's last message: what HTTP/2 has trailers for. */
function endOfStream(error: ConnectError | undefined): Buffer {
  const text = JSON.stringify(endStreamToJson(new Headers(), error, undefined));
  const length = Buffer.byteLength(text);
  const bytes = Buffer.allocUnsafe(envelopeBytes + length);
  bytes[0] = endStreamFlag;
  bytes.writeUInt32BE(length, 1);
  bytes.write(text, envelopeBytes);
  return bytes;
}
