import type { ServerHttp2Stream } from "node:http2";
import type { FrameSink } from "../rpc/call.ts";
import type { Frame } from "../rpc/frame.ts";
import type { StreamProtocol } from "./stream-protocols.ts";

/** Below this many buffered bytes a stream counts as drained. */
const drainedBytes = 64 * 1024;

/** Writes frames as they were encoded straight to a stream, and answers with its headers at the first. */
export class Http2FrameSink implements FrameSink {
  readonly #stream: ServerHttp2Stream;
  readonly #protocol: Pick<StreamProtocol, "respond">;

  constructor(stream: ServerHttp2Stream, protocol: Pick<StreamProtocol, "respond">) {
    this.#stream = stream;
    this.#protocol = protocol;
  }

  get bufferedBytes(): number {
    return this.#stream.writableLength;
  }

  write(frame: Frame): void {
    const stream = this.#stream;
    if (stream.destroyed || stream.closed) return;
    if (!stream.headersSent) this.#protocol.respond(stream);
    stream.write(frame.binary);
  }

  drained(): Promise<void> {
    const stream = this.#stream;
    if (stream.destroyed || stream.writableLength <= drainedBytes) return Promise.resolve();
    return new Promise((resolve) => {
      const done = () => {
        stream.off("drain", done).off("close", done);
        resolve();
      };
      stream.on("drain", done).on("close", done);
    });
  }
}
