import type { Socket } from "node:net";

/** How an HTTP/2 connection with prior knowledge begins (RFC 9113 section 3.4); no HTTP/1.1 method begins so. */
const preface = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "latin1");

/** Enough of the preface to tell it from `POST`, `PUT` and `PATCH`, and short enough to come in one segment. */
const decisiveBytes = 3;

export type Protocol = "h1" | "h2";

/**
 * Reads just enough of a new connection to tell HTTP/2 from HTTP/1.1, puts it back, and hands the paused socket over.
 * A connection that doesn't say within `firstByteMs` is destroyed.
 */
export function sniffProtocol(socket: Socket, firstByteMs: number, handOver: (protocol: Protocol) => void): void {
  let seen: Buffer = Buffer.alloc(0);

  const onData = (bytes: Buffer): void => {
    seen = seen.byteLength === 0 ? bytes : Buffer.concat([seen, bytes]);
    const protocol = protocolOf(seen);
    if (protocol === undefined) return;
    stop();
    socket.pause();
    socket.unshift(seen);
    handOver(protocol);
  };
  const giveUp = (): void => {
    stop();
    socket.destroy();
  };
  const stop = (): void => {
    socket.setTimeout(0);
    socket.off("data", onData).off("timeout", giveUp).off("end", giveUp).off("error", giveUp);
  };

  // `timeout` counts from the last byte: one byte at a time wins at most two more spans.
  socket.setTimeout(firstByteMs);
  socket.on("data", onData).on("timeout", giveUp).on("end", giveUp).on("error", giveUp);
}

/** undefined: too few bytes yet. */
function protocolOf(seen: Buffer): Protocol | undefined {
  const length = Math.min(seen.byteLength, preface.byteLength);
  if (seen.compare(preface, 0, length, 0, length) !== 0) return "h1";
  return length < decisiveBytes ? undefined : "h2";
}
