import { type DescMethod, fromBinary, fromJsonString } from "@bufbuild/protobuf";
import { isFieldError } from "@bufbuild/protobuf/reflect";
import { Code, ConnectError } from "@connectrpc/connect";
import type { Compression, UniversalHandlerFn, UniversalServerRequest } from "@connectrpc/connect/protocol";
import { IchorError } from "../core/errors.ts";
import { deadlineExceeded } from "./error-boundary.ts";
import { jsonOptions } from "./method-registry.ts";

/** How long a client may take to send its request message, in ms. */
export const requestReceiveMsMax = 30_000;

/** Flags and length before each message of gRPC, gRPC-Web and Connect streams. */
const envelopeBytes = 5;
const compressedFlag = 1;

/** Records a refusal and gives the error to send. */
export type Refuse = (request: UniversalServerRequest, thrown: unknown) => ConnectError;

export interface GuardOptions {
  readonly desc: DescMethod;
  /** The largest message, in bytes, before and after decompression. */
  readonly requestBytesMax: number;
  /** Encodings that requests may have. */
  readonly compressions: readonly Compression[];
  readonly refuse: Refuse;
}

/**
 * Reads and checks the one request message of a unary or server-streaming method before connect does. connect would
 * refuse the same requests, but with errors that carry no ErrorInfo and reach no log: it parses before it calls
 * anything of ours. A body that throws is the one way in, and works for all protocols alike. The price is a second
 * parse on this path.
 *
 * Left to connect, and therefore without ErrorInfo: a malformed timeout header, an unknown compression, a missing or
 * second message in a unary gRPC call, and a wrong HTTP method or content type (which have no RPC to answer).
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
  let bytes: Uint8Array;
  try {
    const encoding = bodyEncoding(request.header.get("content-type") ?? "");
    const bytesMax = options.requestBytesMax + (encoding.enveloped ? envelopeBytes : 0);
    if (Number(request.header.get("content-length") ?? 0) > bytesMax) throw tooLarge(options.requestBytesMax);
    bytes = await readAtMost(request.body as AsyncIterable<Uint8Array>, bytesMax, options.requestBytesMax);
    const message = encoding.enveloped
      ? await unwrapEnvelope(bytes, request.header, options)
      : await decompress(bytes, request.header.get("content-encoding"), options);
    if (message !== undefined) checkMessage(options.desc, message, encoding.json);
  } catch (thrown) {
    throw options.refuse(request, thrown);
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
      if (size > bytesMax) throw tooLarge(shownMax);
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

/** Gives the message in the first envelope; undefined if there is none that connect would take. */
async function unwrapEnvelope(
  bytes: Uint8Array,
  header: Headers,
  options: GuardOptions,
): Promise<Uint8Array | undefined> {
  if (bytes.byteLength < envelopeBytes) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const length = view.getUint32(1);
  if (length > options.requestBytesMax) throw tooLarge(options.requestBytesMax);
  if (bytes.byteLength < envelopeBytes + length) return undefined;
  const message = bytes.subarray(envelopeBytes, envelopeBytes + length);
  if ((view.getUint8(0) & compressedFlag) === 0) return message;
  return decompress(message, header.get("grpc-encoding") ?? header.get("connect-content-encoding"), options);
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

function checkMessage(method: DescMethod, message: Uint8Array, json: boolean): void {
  try {
    if (json) fromJsonString(method.input, new TextDecoder().decode(message), jsonOptions);
    else fromBinary(method.input, message);
  } catch (thrown) {
    throw malformed(thrown, json);
  }
}

/** Names the field if protobuf-es does, so that a client learns which one it misspelt. */
function malformed(thrown: unknown, json: boolean): IchorError {
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  const publicMessage = json ? message : `cannot decode the request: ${message}`;
  const cause = thrown instanceof Error ? thrown.cause : undefined;
  if (isFieldError(cause)) {
    const violations = [{ field: cause.field().name, description: cause.message }];
    return new IchorError("INVALID_FIELD", publicMessage, { violations });
  }
  const unknownKey = /key "([^"]{1,128})" is unknown$/.exec(message)?.[1];
  if (unknownKey === undefined) return new IchorError("INVALID_FIELD", publicMessage);
  return new IchorError("INVALID_FIELD", publicMessage, {
    violations: [{ field: unknownKey, description: "is unknown" }],
  });
}

function tooLarge(requestBytesMax: number): IchorError {
  return new IchorError("REQUEST_TOO_LARGE", `the request has more than ${requestBytesMax} bytes`, {
    metadata: { max_bytes: String(requestBytesMax) },
  });
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
