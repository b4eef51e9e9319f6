import { createServer } from "node:http2";
import { answerBytes, frameOf } from "./frames.mjs";
import { listening, tell } from "./tell.mjs";

// The limit: node:http2 alone, which reads the request and answers the same bytes with gRPC's trailers.
tell(async ({ answer }) => {
  const frame = frameOf(answerBytes(answer));
  const server = createServer();
  server.on("stream", (stream) => {
    stream.on("error", () => {});
    stream.on("data", () => {});
    stream.on("end", () => {
      stream.respond({ ":status": 200, "content-type": "application/grpc+proto" }, { waitForTrailers: true });
      stream.once("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
      stream.end(frame);
    });
  });
  return { port: await listening(server) };
});
