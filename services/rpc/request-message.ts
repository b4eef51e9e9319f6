import { type DescMessage, fromBinary, fromJsonString, type Message } from "@bufbuild/protobuf";
import { isFieldError } from "@bufbuild/protobuf/reflect";
import { Code, ConnectError } from "@connectrpc/connect";
import { IchorError } from "../core/errors.ts";
import { jsonOptions } from "./method-registry.ts";

/** How long a client may take to send its request message, in ms. */
export const requestReceiveMsMax = 30_000;

/** Flags and length before each message of gRPC, gRPC-Web and Connect streams. */
export const envelopeBytes = 5;
const compressedFlag = 1;

/** The one message of an enveloped request. */
export interface EnvelopedMessage {
  readonly bytes: Uint8Array;
  readonly compressed: boolean;
}

const textDecoder = new TextDecoder();

/** Reads a request message. Throws INVALID_FIELD, with the field if it can be told. */
export function decodeRequest(desc: DescMessage, bytes: Uint8Array, json: boolean): Message {
  try {
    return json ? fromJsonString(desc, textDecoder.decode(bytes), jsonOptions) : fromBinary(desc, bytes);
  } catch (thrown) {
    throw malformed(thrown, json);
  }
}

/**
 * Takes the one message out of its envelope, without copying. Throws REQUEST_TOO_LARGE, INVALID_FIELD for a broken
 * envelope, and gRPC's UNIMPLEMENTED if there is no message or more than one.
 */
export function unwrapEnvelope(body: Uint8Array, requestBytesMax: number): EnvelopedMessage {
  if (body.byteLength === 0) throw new ConnectError("the request has no message", Code.Unimplemented);
  if (body.byteLength < envelopeBytes) throw brokenEnvelope("is incomplete");
  const view = new DataView(body.buffer, body.byteOffset, body.byteLength);
  const end = envelopeBytes + view.getUint32(1);
  if (end > envelopeBytes + requestBytesMax) throw requestTooLarge(requestBytesMax);
  if (body.byteLength < end) throw brokenEnvelope("is incomplete");
  if (body.byteLength > end) throw new ConnectError("the request has more than one message", Code.Unimplemented);
  const flags = view.getUint8(0);
  if ((flags & ~compressedFlag) !== 0) throw brokenEnvelope("has flags that no request has");
  return { bytes: body.subarray(envelopeBytes, end), compressed: flags === compressedFlag };
}

/** The refusal of a message that names no encoding and is marked as compressed. */
export function unknownCompression(): IchorError {
  return brokenEnvelope("is marked as compressed, but no encoding is named");
}

export function requestTooLarge(requestBytesMax: number): IchorError {
  return new IchorError("REQUEST_TOO_LARGE", `the request has more than ${requestBytesMax} bytes`, {
    metadata: { max_bytes: String(requestBytesMax) },
  });
}

function brokenEnvelope(fault: string): IchorError {
  return new IchorError("INVALID_FIELD", `the request's envelope ${fault}`);
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
