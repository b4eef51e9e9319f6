import type { MessageInitShape } from "@bufbuild/protobuf";
import { CredentialKindSchema } from "../../gen/ichor/v1/api_key_pb.ts";
import {
  VerificationCodeSchema,
  type VerifyCredentialRequest,
  type VerifyCredentialRequestSchema,
  type VerifyCredentialResponseSchema,
} from "../../gen/ichor/v1/verification_pb.ts";

// Protobuf JSON of the hottest call, by hand: for a third of what reading descriptors costs. Both functions do what they
// surely know and leave everything else, every error included, to protobuf-es. Properties hold them equal to it.

type Answer = MessageInitShape<typeof VerifyCredentialResponseSchema>;
type AnswerKey = NonNullable<Answer["key"]>;
type AnswerLimit = NonNullable<Answer["rateLimits"]>[number];

const requestType: (typeof VerifyCredentialRequestSchema)["typeName"] = "ichor.v1.VerifyCredentialRequest";
const knownAnswerFields = new Set([
  ...["valid", "code", "kind", "key", "tokenId", "rateLimits", "revision", "age", "$typeName"],
]);
/** Longer ones are rare, and for protobuf-es's bounds. */
const quickLengthMax = 16 * 1024;
const digits = /^(?:0|[1-9][0-9]{0,17})$/;
const yearEndMs = 253_402_300_799_999;

const codeNames = namesOf(VerificationCodeSchema.values);
const kindNames = namesOf(CredentialKindSchema.values);

/**
 * Gives the request, if its text is exactly what `JSON.stringify` makes of it and has only plain fields: so no name stands
 * there twice, and nothing needs unescaping. undefined: protobuf-es is to read it.
 */
export function readVerifyRequest(text: string): VerifyCredentialRequest | undefined {
  if (text.length > quickLengthMax || text.includes("\\")) return undefined;
  const parsed = parsedJson(text);
  if (parsed === undefined || JSON.stringify(parsed) !== text) return undefined;
  let known = 0;
  const { credential, requiredScopes, audience, clientIp, noCache, minRevision, cost } = parsed;
  const request: VerifyCredentialRequest = {
    $typeName: requestType,
    credential: "",
    requiredScopes: [],
    audience: "",
    clientIp: "",
    context: {},
    minRevision: 0n,
    noCache: false,
  };
  if (isText(credential)) {
    request.credential = credential;
    known += 1;
  }
  if (isTexts(requiredScopes)) {
    request.requiredScopes = requiredScopes;
    known += 1;
  }
  if (isText(audience)) {
    request.audience = audience;
    known += 1;
  }
  if (isText(clientIp)) {
    request.clientIp = clientIp;
    known += 1;
  }
  if (typeof noCache === "boolean") {
    request.noCache = noCache;
    known += 1;
  }
  if (isDigits(minRevision)) {
    request.minRevision = BigInt(minRevision);
    known += 1;
  }
  if (isDigits(cost)) {
    request.cost = BigInt(cost);
    known += 1;
  }
  return known === Object.keys(parsed).length ? request : undefined;
}

/** Gives the answer's JSON; undefined: protobuf-es is to write it. */
export function writeVerifyAnswer(answer: Answer): string | undefined {
  const { valid, code, kind, key, tokenId, rateLimits, revision, age } = answer;
  for (const name in answer) if (!knownAnswerFields.has(name)) return undefined;
  const keyText = key === undefined ? "" : writeKey(key);
  const ageText = age === undefined ? "" : writeDuration(age);
  const limitsText = rateLimits === undefined || rateLimits.length === 0 ? "" : writeLimits(rateLimits);
  if (keyText === undefined || limitsText === undefined || ageText === undefined) return undefined;
  let text = "";
  if (valid) text += ',"valid":true';
  if (code) text += `,"code":"${codeNames[code]}"`;
  if (kind) text += `,"kind":"${kindNames[kind]}"`;
  text += keyText;
  if (tokenId) text += `,"tokenId":${JSON.stringify(tokenId)}`;
  text += limitsText;
  if (revision) text += `,"revision":"${revision}"`;
  text += ageText;
  return `{${text.slice(1)}}`;
}

function writeKey(key: AnswerKey): string | undefined {
  const { id, name, ownerId, tenantId, scopes, labels, metadata, expireTime, secretVersionId } = key;
  const expireText = expireTime === undefined ? "" : writeTimestamp("expireTime", expireTime);
  if (expireText === undefined) return undefined;
  let text = "";
  if (id) text += `,"id":${JSON.stringify(id)}`;
  if (name) text += `,"name":${JSON.stringify(name)}`;
  if (ownerId) text += `,"ownerId":${JSON.stringify(ownerId)}`;
  if (tenantId) text += `,"tenantId":${JSON.stringify(tenantId)}`;
  if (scopes && scopes.length > 0) text += `,"scopes":${JSON.stringify(scopes)}`;
  if (labels && Object.keys(labels).length > 0) text += `,"labels":${JSON.stringify(labels)}`;
  if (metadata !== undefined) text += `,"metadata":${JSON.stringify(metadata)}`;
  // protobuf-es loses a member of this name: on every path alike.
  if (text.includes("__proto__")) return undefined;
  text += expireText;
  if (secretVersionId) text += `,"secretVersionId":${JSON.stringify(secretVersionId)}`;
  return `,"key":{${text.slice(1)}}`;
}

function writeLimits(limits: readonly AnswerLimit[]): string | undefined {
  let all = "";
  for (const { name, remaining, resetTime, limit, retryTime } of limits) {
    const resetText = resetTime === undefined ? "" : writeTimestamp("resetTime", resetTime);
    const retryText = retryTime === undefined ? "" : writeTimestamp("retryTime", retryTime);
    if (resetText === undefined || retryText === undefined) return undefined;
    let text = "";
    if (name) text += `,"name":${JSON.stringify(name)}`;
    if (remaining) text += `,"remaining":"${remaining}"`;
    text += resetText;
    if (limit) text += `,"limit":"${limit}"`;
    text += retryText;
    all += `,{${text.slice(1)}}`;
  }
  return `,"rateLimits":[${all.slice(1)}]`;
}

/** Only whole milliseconds, as all our times are. */
function writeTimestamp(
  name: string,
  { seconds = 0n, nanos = 0 }: NonNullable<AnswerKey["expireTime"]>,
): string | undefined {
  const ms = Number(seconds) * 1000 + nanos / 1e6;
  if (nanos % 1e6 !== 0 || nanos < 0 || ms < 0 || ms > yearEndMs) return undefined;
  const text = new Date(ms).toISOString();
  return `,"${name}":"${text.endsWith(".000Z") ? `${text.slice(0, -5)}Z` : text}"`;
}

function writeDuration({ seconds = 0n, nanos = 0 }: NonNullable<Answer["age"]>): string | undefined {
  const ms = nanos / 1e6;
  if (seconds < 0n || !Number.isInteger(ms) || ms < 0 || ms > 999) return undefined;
  return `,"age":"${seconds}${ms === 0 ? "" : `.${String(ms).padStart(3, "0")}`}s"`;
}

function parsedJson(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const parsed: unknown = JSON.parse(text);
    return typeof parsed === "object" && parsed !== null && !Array.isArray(parsed)
      ? (parsed as Readonly<Record<string, unknown>>)
      : undefined;
  } catch {
    return undefined;
  }
}

function isText(value: unknown): value is string {
  return typeof value === "string";
}

function isTexts(value: unknown): value is string[] {
  return Array.isArray(value) && value.every(isText);
}

/** Of at most 18 digits, which fit an int64. */
function isDigits(value: unknown): value is string {
  return typeof value === "string" && digits.test(value);
}

function namesOf(values: readonly { readonly number: number; readonly name: string }[]): readonly string[] {
  const names: string[] = [];
  for (const { number, name } of values) names[number] = name;
  return names;
}
