import { type DescMessage, fromBinary, fromJsonString, type Message } from "@bufbuild/protobuf";
import { isFieldError } from "@bufbuild/protobuf/reflect";
import { Code, ConnectError } from "@connectrpc/connect";
import { IchorError } from "../core/errors.ts";
import { FieldViolations } from "../core/field-violations.ts";
import { jsonOptions, type QuickCodec } from "./method-registry.ts";
import { hasMoreBinaryValues, hasMoreJsonValues, lostInBinary, lostInJson } from "./request-values.ts";

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

/**
 * The most values (fields, list items, map entries) of one request. Decoding takes a microsecond or more for each, and
 * as little as two bytes can be one: without a bound a request of a few kilobytes, compressed, stops the process for
 * seconds.
 */
export const requestValuesMax = 100_000;

const textDecoder = new TextDecoder();

/**
 * Reads a request message: what every transport decodes by, so that none takes what another refuses. Throws INVALID_FIELD,
 * with the field if it can be told, also for a map's entry that decoding would lose; REQUEST_TOO_LARGE for one with too
 * many values.
 */
export function decodeRequest(
  desc: DescMessage,
  bytes: Uint8Array,
  json: boolean,
  codec?: Pick<QuickCodec, "readJson">,
): Message {
  const quick = json ? codec?.readJson(textDecoder.decode(bytes)) : undefined;
  if (quick !== undefined) return quick;
  const message = decode(desc, bytes, json);
  if (message === undefined) throw tooManyValues();
  const lost = json ? lostInJson(desc, bytes) : lostInBinary(desc, bytes);
  if (lost.length === 0) return message;
  const violations = new FieldViolations();
  for (const path of lost) violations.add(path, "has a name that can't be kept");
  violations.throwIfAny();
  return message;
}

/** undefined: it has too many values. */
function decode(desc: DescMessage, bytes: Uint8Array, json: boolean): Message | undefined {
  try {
    if (hasTooManyValues(desc, bytes, json)) return undefined;
    return json ? fromJsonString(desc, textDecoder.decode(bytes), jsonOptions) : fromBinary(desc, bytes);
  } catch (thrown) {
    throw malformed(thrown, json);
  }
}

function hasTooManyValues(desc: DescMessage, bytes: Uint8Array, json: boolean): boolean {
  // Each takes a byte at least.
  if (bytes.length <= requestValuesMax) return false;
  return json ? hasMoreJsonValues(bytes, requestValuesMax) : hasMoreBinaryValues(desc, bytes, requestValuesMax);
}

function tooManyValues(): IchorError {
  return new IchorError("REQUEST_TOO_LARGE", `the request has more than ${requestValuesMax} values`, {
    metadata: { max_values: String(requestValuesMax) },
  });
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
