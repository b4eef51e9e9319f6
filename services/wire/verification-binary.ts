import type { MessageInitShape } from "@bufbuild/protobuf";
import type { VerifyCredentialResponseSchema } from "../../gen/ichor/v1/verification_pb.ts";

// The binary form of the hottest answer, by hand: as verification-json.ts, and held equal to protobuf-es by the same test.

type Answer = MessageInitShape<typeof VerifyCredentialResponseSchema>;
type AnswerKey = NonNullable<Answer["key"]>;
type AnswerLimit = NonNullable<Answer["rateLimits"]>[number];
/** A Timestamp or a Duration. */
type Time = { readonly seconds?: bigint; readonly nanos?: number };

const knownAnswerFields = new Set([
  ...["valid", "code", "kind", "key", "tokenId", "rateLimits", "revision", "age", "$typeName"],
]);
const bytesMax = 16 * 1024;

// Kept between calls, which are synchronous from the first byte to the copy that they give. Holds no secret.
const scratch = Buffer.alloc(bytesMax);
let at = 0;

/** Gives the answer's bytes; undefined: protobuf-es is to write it. */
export function writeVerifyAnswerBytes(answer: Answer): Uint8Array | undefined {
  const { valid, code, kind, key, tokenId, rateLimits = [], revision, age } = answer;
  for (const name in answer) if (!knownAnswerFields.has(name)) return undefined;
  const plain =
    isCount(revision) && isSpan(age) && (key === undefined || isPlain(key)) && rateLimits.every(isPlainLimit);
  if (!plain || textLength(answer) > bytesMax / 4) return undefined;
  at = 0;
  if (valid) writeVarint(1, 1);
  if (code) writeVarint(2, code);
  if (kind) writeVarint(3, kind);
  if (key !== undefined) writeAnswerKey(key);
  writeText(5, tokenId);
  for (const limit of rateLimits) writeMessage(6, () => writeLimit(limit));
  if (revision) writeVarint(7, Number(revision));
  if (age !== undefined) writeMessage(8, () => writeTime(age));
  return Buffer.from(scratch.subarray(0, at));
}

/** What frozen keys were written as: such a one is told often. Not of Buffer's pool, of which a few bytes keep a block. */
const keyBytes = new WeakMap<AnswerKey, Uint8Array>();

function writeAnswerKey(key: AnswerKey): void {
  const start = at;
  const kept = keyBytes.get(key);
  if (kept !== undefined) {
    scratch.set(kept, start);
    at += kept.length;
    return;
  }
  writeMessage(4, () => writeKey(key));
  if (Object.isFrozen(key)) keyBytes.set(key, new Uint8Array(scratch.subarray(start, at)));
}

function writeKey({ id, name, ownerId, tenantId, scopes, labels, expireTime, secretVersionId }: AnswerKey): void {
  writeText(1, id);
  writeText(2, name);
  writeText(3, ownerId);
  writeText(4, tenantId);
  for (const scope of scopes ?? []) writeTextAlways(5, scope);
  for (const label in labels) {
    writeMessage(6, () => {
      writeTextAlways(1, label);
      writeTextAlways(2, labels[label] ?? "");
    });
  }
  if (expireTime !== undefined) writeMessage(8, () => writeTime(expireTime));
  writeText(9, secretVersionId);
}

function writeLimit({ name, remaining, resetTime, limit, retryTime }: AnswerLimit): void {
  writeText(1, name);
  if (remaining) writeVarint(2, Number(remaining));
  if (resetTime !== undefined) writeMessage(3, () => writeTime(resetTime));
  if (limit) writeVarint(4, Number(limit));
  if (retryTime !== undefined) writeMessage(5, () => writeTime(retryTime));
}

function writeTime({ seconds, nanos }: Time): void {
  if (seconds) writeVarint(1, Number(seconds));
  if (nanos) writeVarint(2, nanos);
}

function writeText(field: number, text: string | undefined): void {
  if (text) writeTextAlways(field, text);
}

function writeTextAlways(field: number, text: string): void {
  writeMessage(field, () => {
    at += scratch.write(text, at);
  });
}

/** A field with a length: reserves a byte for it, and moves what was written if it takes more. */
function writeMessage(field: number, write: () => void): void {
  scratch[at++] = (field << 3) | 2;
  const lengthAt = at;
  at += 1;
  write();
  const length = at - lengthAt - 1;
  if (length < 0x80) {
    scratch[lengthAt] = length;
    return;
  }
  scratch.copyWithin(lengthAt + 2, lengthAt + 1, at);
  scratch[lengthAt] = (length & 0x7f) | 0x80;
  scratch[lengthAt + 1] = length >> 7;
  at += 1;
}

/** A field with a number below 2^53. */
function writeVarint(field: number, value: number): void {
  scratch[at++] = field << 3;
  let rest = value;
  while (rest >= 0x80) {
    scratch[at++] = (rest % 0x80) | 0x80;
    rest = Math.floor(rest / 0x80);
  }
  scratch[at++] = rest;
}

function isPlain({ metadata, expireTime }: AnswerKey): boolean {
  return metadata === undefined && isSpan(expireTime);
}

function isPlainLimit({ remaining, resetTime, limit, retryTime }: AnswerLimit): boolean {
  return isCount(remaining) && isSpan(resetTime) && isCount(limit) && isSpan(retryTime);
}

function isSpan(time: Time | undefined): boolean {
  return time === undefined || (isCount(time.seconds) && (time.nanos ?? 0) >= 0);
}

function isCount(value: bigint | undefined): boolean {
  return value === undefined || (value >= 0n && value <= Number.MAX_SAFE_INTEGER);
}

/** In UTF-16 units: a unit takes at most three bytes, and what surrounds a text at most 8. */
function textLength({ key, tokenId, rateLimits = [] }: Answer): number {
  let length = tokenId?.length ?? 0;
  // Its numbers and times take at most 50 bytes.
  for (const { name } of rateLimits) length += (name?.length ?? 0) + 50;
  if (key === undefined) return length;
  const { id, name, ownerId, tenantId, scopes, labels, secretVersionId } = key;
  for (const text of [id, name, ownerId, tenantId, secretVersionId]) length += text?.length ?? 0;
  for (const scope of scopes ?? []) length += scope.length + 3;
  for (const label in labels) length += label.length + (labels[label]?.length ?? 0) + 6;
  return length;
}
