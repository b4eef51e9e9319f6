import type { ServerResponse } from "node:http";
import type { Http2ServerResponse } from "node:http2";
import type { Writable } from "node:stream";
import { createContextKey, createContextValues } from "@connectrpc/connect";
import type { UniversalHandlerFn, UniversalServerResponse } from "@connectrpc/connect/protocol";
import type { FrameSink } from "./call.ts";
import type { Frame } from "./frame.ts";

/** Below this many buffered bytes a stream counts as drained. */
const drainedBytes = 64 * 1024;

/** Where a scoped stream's method finds its sink. */
export const frameStreamKey = createContextKey<FrameStream | undefined>(undefined, { description: "frame stream" });

type NodeResponse = ServerResponse | Http2ServerResponse;
/** What both have in common, which their types don't say. */
type Output = Pick<Writable, "write" | "on">;

/**
 * Makes a handler of a streaming method send frames as they were encoded, past connect's serialisation and its generator
 * per message: those cost ten times the rest. All else is connect's: the request, headers, errors, the end of the stream,
 * and the first message, which connect waits for before it answers at all.
 */
export function sendFrames(handle: UniversalHandlerFn): UniversalHandlerFn {
  return async (request) => {
    const stream = new FrameStream(/[/+]json\b/i.test(request.header.get("content-type") ?? ""));
    const contextValues = (request.contextValues ?? createContextValues()).set(frameStreamKey, stream);
    const answer = await handle({ ...request, contextValues });
    const { body } = answer;
    if (answer.status !== 200 || body === undefined || body instanceof Uint8Array) return answer;
    return { ...answer, body: new FrameBody(stream, body) };
  };
}

/** The frames of one stream: kept until they are read, or written to a response at once when there is one. */
export class FrameStream implements FrameSink {
  /** Resolves with the first frame that is written, which goes by way of connect. */
  readonly first: Promise<Frame>;
  readonly #json: boolean;
  #tellFirst: ((frame: Frame) => void) | undefined;
  #queue: Uint8Array[] = [];
  #queuedBytes = 0;
  #response: NodeResponse | undefined;
  #wake: (() => void) | undefined;
  #drainWaiters: (() => void)[] = [];
  #closed = false;

  constructor(json: boolean) {
    this.#json = json;
    this.first = new Promise((resolve) => {
      this.#tellFirst = resolve;
    });
  }

  get bufferedBytes(): number {
    return this.#queuedBytes + (this.#response === undefined ? 0 : unsentBytes(this.#response));
  }

  write(frame: Frame): void {
    if (this.#closed) return;
    if (this.#tellFirst !== undefined) {
      this.#tellFirst(frame);
      this.#tellFirst = undefined;
      return;
    }
    const bytes = this.#json ? frame.json : frame.binary;
    if (this.#response !== undefined) {
      (this.#response as Output).write(bytes);
      return;
    }
    this.#queue.push(bytes);
    this.#queuedBytes += bytes.length;
    this.#wake?.();
  }

  drained(): Promise<void> {
    if (this.#closed || this.bufferedBytes <= drainedBytes) return Promise.resolve();
    return new Promise((resolve) => void this.#drainWaiters.push(resolve));
  }

  /** Nobody reads any more. */
  close(): void {
    this.#closed = true;
    this.#queue = [];
    this.#queuedBytes = 0;
    this.#tellDrained();
    this.#wake?.();
  }

  /** From now on, frames go to the response. */
  attach(response: NodeResponse): void {
    this.#response = response;
    const output: Output = response as Output;
    for (const bytes of this.#take()) output.write(bytes);
    output.on("drain", () => this.#tellDrained());
    output.on("close", () => this.close());
    this.#tellDrained();
  }

  /** Gives frames as they come, until `ended` has resolved and all were given. */
  async *read(ended: Promise<unknown>): AsyncGenerator<Uint8Array> {
    let over = false;
    const end = () => {
      over = true;
      this.#wake?.();
    };
    ended.then(end, end);
    for (;;) {
      const frames = this.#take();
      this.#tellDrained();
      yield* frames;
      if (this.#queue.length > 0) continue;
      if (over || this.#closed) return;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      this.#wake = undefined;
    }
  }

  #take(): readonly Uint8Array[] {
    const frames = this.#queue;
    this.#queue = [];
    this.#queuedBytes = 0;
    return frames;
  }

  #tellDrained(): void {
    if (!this.#closed && this.bufferedBytes > drainedBytes) return;
    for (const resolve of this.#drainWaiters.splice(0)) resolve();
  }
}

/** The body of an answer: what connect begins the stream with, frames, and what connect ends it with. */
export class FrameBody implements AsyncIterable<Uint8Array> {
  readonly #stream: FrameStream;
  readonly #first: Promise<IteratorResult<Uint8Array>>;
  readonly #end: Promise<readonly Uint8Array[]>;

  constructor(stream: FrameStream, body: AsyncIterable<Uint8Array>) {
    this.#stream = stream;
    // Reading is what runs the method.
    const chunks = body[Symbol.asyncIterator]();
    this.#first = chunks.next();
    this.#end = this.#first.then(({ done }) => (done ? [] : collect(chunks)));
    this.#end.catch(() => {});
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    try {
      const { done, value } = await this.#first;
      if (!done) yield value;
      yield* this.#stream.read(this.#end);
      yield* await this.#end;
    } finally {
      this.#stream.close();
    }
  }

  /** Sends the whole answer, without a promise per frame. Resolves when it has ended or the client is gone. */
  async sendTo({ status, header, trailer }: UniversalServerResponse, response: NodeResponse): Promise<void> {
    const output = response as Output;
    for (const [name, value] of header ?? []) response.setHeader(name, value);
    // At once: HTTP/2 would have no trailers after an end that comes with the headers.
    response.writeHead(status);
    output.on("error", () => this.#stream.close());
    const { done, value } = await this.#first;
    if (!done) output.write(value);
    this.#stream.attach(response);
    for (const bytes of await this.#end) output.write(bytes);
    const trailers = trailer && Object.fromEntries(trailer);
    if (trailers !== undefined && Object.keys(trailers).length > 0) response.addTrailers(trailers);
    response.end();
  }
}

async function collect(chunks: AsyncIterator<Uint8Array>): Promise<readonly Uint8Array[]> {
  const collected: Uint8Array[] = [];
  for (let next = await chunks.next(); !next.done; next = await chunks.next()) collected.push(next.value);
  return collected;
}

function unsentBytes(response: NodeResponse): number {
  return "stream" in response ? (response.stream?.writableLength ?? 0) : response.writableLength;
}
