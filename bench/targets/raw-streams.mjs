import { createServer } from "node:http2";
import { frameOf } from "./frames.mjs";
import { listening, tell } from "./tell.mjs";
import { bytesOf, delta, snapshotEnd } from "./watch-frames.mjs";

// The limit: node:http2 alone, which writes bytes that were encoded long ago to every stream.
const streams = new Set();
const first = frameOf(bytesOf(snapshotEnd));
const event = frameOf(bytesOf(delta));

tell(
  async () => {
    const server = createServer({ settings: { maxConcurrentStreams: 250 } });
    server.on("stream", (stream) => {
      stream.on("error", () => {});
      stream.on("close", () => streams.delete(stream));
      stream.resume();
      stream.respond({ ":status": 200, "content-type": "application/grpc+proto" }, { waitForTrailers: true });
      stream.write(first);
      streams.add(stream);
    });
    return { port: await listening(server) };
  },
  {
    async publish() {
      for (const stream of streams) stream.write(event);
    },
  },
);
