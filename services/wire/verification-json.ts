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
/** Of at most 18 digits, which fit an int64. */
const digits = /^(?:0|[1-9][0-9]{0,17})$/;
/** Without these, a string ends at the next quotation mark. */
const unfit = /[\\\p{Cc}]/u;
/** A member and what follows it: its name, and its value as a string, a boolean or a list of strings. */
const member = /"(\w+)":(?:"([^"]*)"|(true|false)|\[((?:"[^"]*"(?:,"[^"]*")*)?)\])(?:,(?=")|\}$)/y;
const yearEndMs = 253_402_300_799_999;

const codeNames = namesOf(VerificationCodeSchema.values);
const kindNames = namesOf(CredentialKindSchema.values);

/**
 * Gives the request, if its text is as `JSON.stringify` makes it, without anything that needs unescaping, and has only
 * plain fields, each once. undefined: protobuf-es is to read it.
 */
export function readVerifyRequest(text: string): VerifyCredentialRequest | undefined {
  if (text.length > quickLengthMax || !text.startsWith("{") || !text.endsWith("}") || unfit.test(text))
    return undefined;
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
  const read = new Set<string>();
  for (let at = 1; at < text.length; at = member.lastIndex) {
    member.lastIndex = at;
    const [, name = "", string, boolean, list] = member.exec(text) ?? [];
    if (read.has(name) || !setField(request, name, string, boolean, list)) return undefined;
    read.add(name);
  }
  return request;
}

/** Sets a field to its value, which came as one of three; false: it can't have such a one. */
function setField(
  request: VerifyCredentialRequest,
  name: string,
  string: string | undefined,
  boolean: string | undefined,
  list: string | undefined,
): boolean {
  switch (name) {
    case "credential":
    case "audience":
    case "clientIp":
      if (string === undefined) return false;
      request[name] = string;
      return true;
    case "minRevision":
    case "cost":
      if (string === undefined || !digits.test(string)) return false;
      request[name] = BigInt(string);
      return true;
    case "noCache":
      if (boolean === undefined) return false;
      request.noCache = boolean === "true";
      return true;
    case "requiredScopes":
      if (list === undefined) return false;
      request.requiredScopes = list === "" ? [] : list.slice(1, -1).split('","');
      return true;
    default:
      return false;
  }
}

/** Gives the answer's JSON; undefined: protobuf-es is to write it. */
export function writeVerifyAnswer(answer: Answer): string | undefined {
  const { valid, code, kind, key, tokenId, rateLimits, revision, age } = answer;
  for (const name in answer) if (!knownAnswerFields.has(name)) return undefined;
  const keyText = key === undefined ? "" : (keyTexts.get(key) ?? writeKey(key));
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

/** What frozen keys were written as: such a one is told often. */
const keyTexts = new WeakMap<AnswerKey, string>();

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
  const keyText = `,"key":{${text.slice(1)}}`;
  if (Object.isFrozen(key)) keyTexts.set(key, keyText);
  return keyText;
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

function namesOf(values: readonly { readonly number: number; readonly name: string }[]): readonly string[] {
  const names: string[] = [];
  for (const { number, name } of values) names[number] = name;
  return names;
}
