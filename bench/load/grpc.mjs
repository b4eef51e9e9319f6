import { connect } from "node:http2";
import { connect as connectSocket } from "node:net";
import { performance } from "node:perf_hooks";
import { runWindow } from "./window.mjs";

// gRPC by hand over node:http2: `connections` × `streams` calls in flight. `frames` are sent in turn.
runWindow(({ port, socketPath, path, headers, frames, connections, streams, leastBytes, tls }, oneDone, failed) => {
  let next = 0;
  for (let i = 0; i < connections; i++) {
    const session = connect(`${tls ? "https" : "http"}://127.0.0.1:${port}`, {
      rejectUnauthorized: !tls,
      ...(socketPath !== undefined && { createConnection: () => connectSocket(socketPath) }),
    });
    session.on("error", failed);
    for (let j = 0; j < streams; j++) call(session);
  }

  function call(session) {
    const sentMs = performance.now();
    const stream = session.request({ ":method": "POST", ":path": path, te: "trailers", ...headers });
    let received = 0;
    let status;
    stream.on("response", (answer) => {
      status = answer["grpc-status"];
    });
    stream.on("data", (bytes) => {
      received += bytes.length;
    });
    stream.on("trailers", (trailers) => {
      status ??= trailers["grpc-status"];
    });
    stream.on("error", failed);
    stream.on("close", () => {
      if (status !== "0" || received < leastBytes) return failed(`status ${status}, ${received} bytes`);
      oneDone(sentMs);
      call(session);
    });
    stream.end(frames[next++ % frames.length]);
  }
});
