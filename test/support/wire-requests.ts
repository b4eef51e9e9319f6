import { type ClientHttp2Session, connect as connectHttp2 } from "node:http2";
import { connect } from "node:net";

/** A request as bytes and headers, which no client library would let through. */
export interface WireRequest {
  readonly method: string;
  readonly path: string;
  /** Lower-case names; a name may stand there twice over HTTP/1.1. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body: Buffer;
  /** Send only so many bytes of the body, then go away. */
  readonly goAwayAfter?: number;
}

export interface WireAnswer {
  /** 0: there was none. */
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly trailers: Readonly<Record<string, string>>;
  readonly body: Buffer;
}

const noAnswer: WireAnswer = { status: 0, headers: {}, trailers: {}, body: Buffer.alloc(0) };

/** Sends a request over a connection of its own. */
export function sendHttp1(port: number, request: WireRequest): Promise<WireAnswer> {
  const { method, path, headers, body, goAwayAfter } = request;
  const all = [
    ["host", `127.0.0.1:${port}`],
    ["connection", "close"],
    ...headers,
    ["content-length", String(body.length)],
  ];
  const head = `${method} ${path} HTTP/1.1\r\n${all.map(([name, value]) => `${name}: ${value}\r\n`).join("")}\r\n`;
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    const received: Buffer[] = [];
    socket.on("data", (bytes) => received.push(bytes));
    socket.on("error", () => {});
    socket.on("close", () => resolve(parseHttp1(Buffer.concat(received))));
    socket.write(Buffer.concat([Buffer.from(head, "latin1"), body.subarray(0, goAwayAfter ?? body.length)]), () => {
      if (goAwayAfter !== undefined) socket.destroy();
    });
  });
}

function parseHttp1(bytes: Buffer): WireAnswer {
  const end = bytes.indexOf("\r\n\r\n");
  if (end < 0) return noAnswer;
  const [statusLine = "", ...lines] = bytes.subarray(0, end).toString("latin1").split("\r\n");
  const headers = Object.fromEntries(
    lines.map((line) => [line.slice(0, line.indexOf(":")).toLowerCase(), line.slice(line.indexOf(":") + 1).trim()]),
  );
  const rest = bytes.subarray(end + 4);
  const body = headers["transfer-encoding"] === "chunked" ? dechunk(rest) : rest;
  return { status: Number(statusLine.split(" ")[1]), headers, trailers: {}, body };
}

function dechunk(bytes: Buffer): Buffer {
  const chunks: Buffer[] = [];
  for (let at = 0; ; ) {
    const lineEnd = bytes.indexOf("\r\n", at);
    const size = Number.parseInt(bytes.subarray(at, lineEnd).toString("latin1"), 16);
    if (lineEnd < 0 || !(size > 0)) return Buffer.concat(chunks);
    chunks.push(bytes.subarray(lineEnd + 2, lineEnd + 2 + size));
    at = lineEnd + 2 + size + 2;
  }
}

/** A connection for many requests; close it after. */
export function http2Connection(port: number): ClientHttp2Session {
  const session = connectHttp2(`http://127.0.0.1:${port}`);
  session.on("error", () => {});
  return session;
}

/** Sends a request on a stream of its own. */
export function sendHttp2(session: ClientHttp2Session, request: WireRequest): Promise<WireAnswer> {
  const { method, path, headers, body, goAwayAfter } = request;
  return new Promise((resolve) => {
    const stream = session.request({ ":method": method, ":path": path, ...Object.fromEntries(headers) });
    let answer = noAnswer;
    const received: Buffer[] = [];
    stream.on("response", ({ ":status": status = 0, ...rest }) => {
      answer = { ...answer, status, headers: texts(rest) };
    });
    stream.on("trailers", (trailers) => {
      answer = { ...answer, trailers: texts(trailers) };
    });
    stream.on("data", (bytes: Buffer) => received.push(bytes));
    stream.on("error", () => {});
    stream.on("close", () => resolve({ ...answer, body: Buffer.concat(received) }));
    if (goAwayAfter === undefined) stream.end(body);
    else stream.write(body.subarray(0, goAwayAfter), () => stream.destroy());
  });
}

function texts(headers: object): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, String(value)]));
}
