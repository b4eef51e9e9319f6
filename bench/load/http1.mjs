import { connect } from "node:net";
import { performance } from "node:perf_hooks";
import { connect as connectTls } from "node:tls";
import { runWindow } from "./window.mjs";

// Speaks HTTP/1.1 by hand over keep-alive connections, one request in flight on each: a client library would need more
// CPU than the server does. `requests` are sent in turn.
runWindow(({ port, socketPath, path, headers, requests, connections, expected, tls }, oneDone, failed) => {
  const messages = requests.map((body) => Buffer.from(requestText(path, headers, body)));
  let next = 0;
  const open = tls ? (options) => connectTls({ ...options, rejectUnauthorized: false }) : connect;
  const place = socketPath === undefined ? { port, host: "127.0.0.1", noDelay: true } : { path: socketPath };
  for (let i = 0; i < connections; i++) drive(open(place));

  function drive(socket) {
    let sentMs = 0;
    let received = "";
    const send = () => {
      sentMs = performance.now();
      socket.write(messages[next++ % messages.length]);
    };
    socket.on(tls ? "secureConnect" : "connect", send);
    socket.on("error", failed);
    socket.on("data", (bytes) => {
      received += bytes.latin1Slice();
      const bodyStart = received.indexOf("\r\n\r\n") + 4;
      if (bodyStart < 4) return;
      const length = /content-length: (\d+)/i.exec(received);
      if (length === null) return failed(`no content-length: ${received}`);
      if (received.length < bodyStart + Number(length[1])) return;
      if (!received.startsWith("HTTP/1.1 200") || !received.includes(expected, bodyStart)) return failed(received);
      received = "";
      oneDone(sentMs);
      send();
    });
  }
});

function requestText(path, headers, body) {
  const all = { host: "127.0.0.1", ...headers, "content-length": Buffer.byteLength(body) };
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
  return `POST ${path} HTTP/1.1\r\n${lines.join("")}\r\n${body}`;
}
