import { createHmac, timingSafeEqual } from "node:crypto";
import {
  create,
  type DescMessage,
  fromBinary,
  type MessageInitShape,
  type MessageShape,
  toBinary,
  toJson,
} from "@bufbuild/protobuf";
import { canonicalJson } from "../core/canonical-json.ts";
import { IchorError } from "../core/errors.ts";
import { answerLifetimeMs } from "../core/repeat-lifetimes.ts";
import type { IdempotencyKey, IdempotencyRecord } from "../store/port.ts";

/** What idempotency needs of the keyring. */
export interface AnswerSealer {
  seal(rowId: string, plaintext: Uint8Array): Uint8Array;
  /** Throws SECRET_NOT_LOADED if the master key isn't loaded. */
  open(rowId: string, sealed: Uint8Array): Uint8Array;
  /** Secrets to fingerprint arguments under, the one for new records first. */
  fingerprintKeys(): readonly Uint8Array[];
}

/** The record of a call that is being done: its arguments as an HMAC, its answer sealed. */
export function idempotencyRecord<O extends DescMessage>(
  sealer: AnswerSealer,
  key: IdempotencyKey,
  argumentBytes: Uint8Array,
  about: Pick<IdempotencyRecord, "keyId" | "revision" | "createTimeMs">,
  output: O,
  answer: MessageInitShape<O>,
): IdempotencyRecord {
  const [newest] = sealer.fingerprintKeys();
  if (newest === undefined) throw new IchorError("SECRET_NOT_LOADED", "no pepper is loaded");
  return {
    ...key,
    ...about,
    fingerprint: fingerprint(newest, argumentBytes),
    sealedAnswer: sealer.seal(rowId(key), toBinary(output, create(output, answer))),
  };
}

/**
 * The answer of an earlier call with the same `request_id`: as it was for an hour, afterwards (or once its secret is
 * dead) undefined, so that the caller tells the resource without its credential.
 * Throws REQUEST_ID_REUSED if the arguments differ.
 */
export function replayedAnswer<O extends DescMessage>(
  sealer: AnswerSealer,
  record: IdempotencyRecord,
  argumentBytes: Uint8Array,
  output: O,
  nowMs: number,
): MessageShape<O> | undefined {
  const same = sealer
    .fingerprintKeys()
    .some((key) => timingSafeEqual(fingerprint(key, argumentBytes), record.fingerprint));
  if (!same) throw new IchorError("REQUEST_ID_REUSED", "this request_id was used with other arguments");
  if (record.sealedAnswer === undefined || nowMs - record.createTimeMs >= answerLifetimeMs) return undefined;
  return fromBinary(output, sealer.open(rowId(record), record.sealedAnswer));
}

/**
 * The arguments of a call in one text, whatever the order of its maps on the wire. Throws INVALID_FIELD for what has no
 * JSON, as a time after the year 9999 in a field that nobody reads.
 */
export function argumentBytesOf<I extends DescMessage>(input: I, request: MessageShape<I>): Uint8Array {
  try {
    return Buffer.from(canonicalJson(toJson(input, request)));
  } catch (cause) {
    throw new IchorError("INVALID_FIELD", "the request holds a value that has no JSON form", { cause });
  }
}

function fingerprint(key: Uint8Array, argumentBytes: Uint8Array): Buffer {
  return createHmac("sha256", key).update("ichor/v1/arguments\0").update(argumentBytes).digest();
}

function rowId(key: IdempotencyKey): string {
  return JSON.stringify([key.tenantId, key.callerKeyId, key.method, key.requestId]);
}
