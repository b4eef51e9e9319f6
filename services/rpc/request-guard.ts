import type { DescMethod } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import type { Compression, UniversalHandlerFn, UniversalServerRequest } from "@connectrpc/connect/protocol";
import { IchorError } from "../core/errors.ts";
import { deadlineExceeded } from "./error-boundary.ts";
import type { Screened } from "./pipeline.ts";
import {
  decodeRequest,
  envelopeBytes,
  requestReceiveMsMax,
  requestTooLarge,
  unknownCompression,
  unwrapEnvelope,
} from "./request-message.ts";

/** Rejects, with an error that is recorded and ready to be sent, if the caller may not make the call at all. */
export type Screen = (request: UniversalServerRequest) => Promise<Screened>;

/** Records a refusal and gives the error to send. */
export type Refuse = (request: UniversalServerRequest, thrown: unknown, screened?: Screened) => ConnectError;

export interface GuardOptions {
  readonly desc: DescMethod;
  /** The largest message, in bytes, before and after decompression. */
  readonly requestBytesMax: number;
  /** Encodings that requests may have. */
  readonly compressions: readonly Compression[];
  /** Asked before a byte of the body is read; absent for open methods. */
  readonly screen?: Screen;
  readonly refuse: Refuse;
}

/**
 * Reads and checks the one request message of a unary or server-streaming method before connect does. connect would
 * refuse the same requests, but with errors that carry no ErrorInfo and reach no log: it parses before it calls
 * anything of ours. A body that throws is the one way in, and works for all protocols alike. The price is a second
 * parse on this path.
 *
 * Left to connect, and therefore without ErrorInfo: a malformed timeout header, an unknown compression, and a wrong HTTP
 * method or content type (which have no RPC to answer).
 */
export function guardRequest(handle: UniversalHandlerFn, options: GuardOptions): UniversalHandlerFn {
  return (request) => {
    const header = new Headers(request.header);
    // connect allocates what this promises, before it has seen a byte.
    header.delete("content-length");
    return handle({ ...request, header, body: checkedBody(request, options) });
  };
}

async function* checkedBody(request: UniversalServerRequest, options: GuardOptions): AsyncGenerator<Uint8Array> {
  const screened = await options.screen?.(request);
  let bytes: Uint8Array;
  try {
    const encoding = bodyEncoding(request.header.get("content-type") ?? "");
    const bytesMax = options.requestBytesMax + (encoding.enveloped ? envelopeBytes : 0);
    if (Number(request.header.get("content-length") ?? 0) > bytesMax) throw requestTooLarge(options.requestBytesMax);
    bytes = await readAtMost(request.body as AsyncIterable<Uint8Array>, bytesMax, options.requestBytesMax);
    const message = encoding.enveloped
      ? await openEnvelope(bytes, request.header, options)
      : await decompress(bytes, request.header.get("content-encoding"), options);
    if (message !== undefined) decodeRequest(options.desc.input, message, encoding.json);
  } catch (thrown) {
    throw options.refuse(request, thrown, screened);
  }
  yield bytes;
}

function bodyEncoding(contentType: string): { enveloped: boolean; json: boolean } {
  return {
    enveloped: /^application\/(grpc|connect)/i.test(contentType),
    json: /[/+]json\b/i.test(contentType),
  };
}

async function readAtMost(body: AsyncIterable<Uint8Array>, bytesMax: number, shownMax: number): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(deadlineExceeded()), requestReceiveMsMax);
  });
  const incoming = body[Symbol.asyncIterator]();
  try {
    for (;;) {
      const next = await Promise.race([incoming.next(), late]);
      if (next.done) return concat(chunks, size);
      size += next.value.byteLength;
      if (size > bytesMax) throw requestTooLarge(shownMax);
      chunks.push(next.value);
    }
  } catch (thrown) {
    // Not awaited: a reader that still waits for bytes answers only when they come.
    incoming.return?.().catch(() => {});
    if (thrown instanceof IchorError) throw thrown;
    throw new ConnectError("the request ended early", Code.Canceled, undefined, undefined, thrown);
  } finally {
    clearTimeout(timer);
  }
}

/** Gives the message in the envelope; undefined if connect will refuse its encoding. */
async function openEnvelope(body: Uint8Array, header: Headers, options: GuardOptions): Promise<Uint8Array | undefined> {
  const { bytes, compressed } = unwrapEnvelope(body, options.requestBytesMax);
  if (!compressed) return bytes;
  const encoding = header.get("grpc-encoding") ?? header.get("connect-content-encoding");
  if (encoding === null || encoding === "identity") throw unknownCompression();
  return decompress(bytes, encoding, options);
}

async function decompress(
  bytes: Uint8Array,
  encoding: string | null,
  options: GuardOptions,
): Promise<Uint8Array | undefined> {
  if (encoding === null || encoding === "identity") return bytes;
  const compression = options.compressions.find(({ name }) => name === encoding);
  return compression?.decompress(bytes, options.requestBytesMax);
}

function concat(chunks: readonly Uint8Array[], size: number): Uint8Array {
  const [only] = chunks;
  if (only !== undefined && chunks.length === 1) return only;
  const bytes = new Uint8Array(size);
  let offset = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, offset);
    offset += chunk.byteLength;
  }
  return bytes;
}
