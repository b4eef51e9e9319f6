import type {
  Constraints as ConstraintsPb,
  RevocationReason as RevocationReasonPb,
} from "../../gen/ichor/v1/api_key_pb.ts";
import type { JsonObject, RevocationReason } from "../core/api-key.ts";
import { isAudience } from "../core/audience.ts";
import { isPortableJson } from "../core/canonical-json.ts";
import { canonicalNetwork } from "../core/cidr.ts";
import { type Constraints, contextValueBytesMax, isContextName } from "../core/constraints.ts";
import { FieldViolations } from "../core/field-violations.ts";
import { type KeyId, parseId } from "../core/ids.ts";
import { isGrant } from "../core/scopes.ts";
import { revocationReasonFromProto } from "./enums.ts";
import { fromTimestamp } from "./time.ts";

/** Bounds of what a key holds; the comments of api_key.proto tell them. */
export const nameBytesMax = 255;
export const commentBytesMax = 1024;
export const scopesMax = 100;
export const labelsMax = 32;
export const labelValueBytesMax = 127;
export const metadataBytesMax = 16 * 1024;
export const networksMax = 50;
export const audiencesMax = 16;
export const contextEntriesMax = 32;

/** The `key_id` of a request. Throws INVALID_FIELD. */
export function parseKeyId(text: string): KeyId {
  const violations = new FieldViolations();
  const keyId = parseId("key", text);
  violations.require(keyId !== undefined, "key_id", "must be a TypeID key_…");
  violations.throwIfAny();
  return keyId as KeyId;
}

/** Notes what is wrong with a `request_id`; empty is none. */
export function checkRequestId(violations: FieldViolations, requestId: string): void {
  violations.require(
    /^[A-Za-z0-9._~-]{0,64}$/.test(requestId),
    "request_id",
    "must be at most 64 characters [A-Za-z0-9._~-]",
  );
}

/** Throws INVALID_FIELD if a `request_id` isn't one. */
export function requireRequestId(requestId: string): void {
  const violations = new FieldViolations();
  checkRequestId(violations, requestId);
  violations.throwIfAny();
}

/** Notes what is wrong with the fields of every request that revokes a key; gives the reason. */
export function checkRevocation(
  violations: FieldViolations,
  request: { readonly reason: RevocationReasonPb; readonly comment: string; readonly requestId: string },
): RevocationReason {
  const reason = revocationReasonFromProto(request.reason);
  violations.require(reason !== undefined, "reason", "is not a value that this version knows");
  checkText(violations, "comment", request.comment, commentBytesMax);
  checkRequestId(violations, request.requestId);
  return reason ?? "UNSPECIFIED";
}

/** Notes what is wrong with text for people: bytes of UTF-8, no control characters. */
export function checkText(
  violations: FieldViolations,
  field: string,
  text: string,
  bytesMax: number,
  bytesMin = 0,
): void {
  const bytes = Buffer.byteLength(text);
  violations.require(bytes >= bytesMin && bytes <= bytesMax, field, `must have ${bytesMin} to ${bytesMax} bytes`);
  violations.require(isPlainText(text), field, "must not contain control characters");
}

/** Notes what is wrong with granted scopes. */
export function checkGrants(violations: FieldViolations, field: string, scopes: readonly string[]): void {
  if (!violations.require(scopes.length <= scopesMax, field, `must have at most ${scopesMax} scopes`)) return;
  scopes.forEach((scope, i) => {
    violations.require(isGrant(scope), `${field}[${i}]`, "is not a scope");
  });
}

/** Parses networks into their canonical text, host bits cleared. Notes violations. */
export function parseNetworks(violations: FieldViolations, field: string, cidrs: readonly string[]): readonly string[] {
  if (!violations.require(cidrs.length <= networksMax, field, `must have at most ${networksMax} networks`)) return [];
  return cidrs.map((cidr, i) => {
    const network = canonicalNetwork(cidr);
    violations.require(network !== undefined, `${field}[${i}]`, "is not a network in CIDR notation");
    return network ?? "";
  });
}

/** Notes what is wrong with labels. */
export function checkLabels(violations: FieldViolations, labels: Readonly<Record<string, string>>, at = ""): void {
  const entries = Object.entries(labels);
  if (!violations.require(entries.length <= labelsMax, `${at}labels`, `must have at most ${labelsMax} labels`)) return;
  for (const [name, value] of entries) {
    const field = `${at}labels[${JSON.stringify(name.slice(0, 64))}]`;
    violations.require(
      /^[a-z][a-z0-9_.-]{0,62}$/.test(name),
      field,
      "has a name that doesn't match [a-z][a-z0-9_.-]{0,62}",
    );
    checkText(violations, field, value, labelValueBytesMax);
  }
}

/** Notes what is wrong with metadata. */
export function checkMetadata(violations: FieldViolations, metadata: JsonObject | undefined, at = ""): void {
  if (metadata === undefined) return;
  if (!violations.require(isPortableJson(metadata), "metadata", "has a number or a text that JSON can't carry")) return;
  const bytes = Buffer.byteLength(JSON.stringify(metadata));
  violations.require(bytes <= metadataBytesMax, `${at}metadata`, `must have at most ${metadataBytesMax} bytes as JSON`);
}

/** Parses constraints; what isn't set doesn't narrow. Notes violations under `constraints.…`. */
export function parseConstraints(
  violations: FieldViolations,
  message: ConstraintsPb | undefined,
  at = "",
): Constraints {
  if (message === undefined) return {};
  const field = (name: string) => `${at}constraints.${name}`;
  const time = (name: string, value: ConstraintsPb["notBefore"]) => {
    const timeMs = value && fromTimestamp(value);
    violations.require(value === undefined || timeMs !== undefined, field(name), "is out of range");
    return timeMs;
  };
  const notBeforeMs = time("not_before", message.notBefore);
  const expireTimeMs = time("expire_time", message.expireTime);
  const { audiences, scopes, contextEquals, contextPrefixes } = message;
  const cidrs = parseNetworks(violations, field("cidrs"), message.cidrs);
  violations.require(
    audiences.length <= audiencesMax,
    field("audiences"),
    `must have at most ${audiencesMax} audiences`,
  );
  audiences.slice(0, audiencesMax).forEach((audience, i) => {
    violations.require(isAudience(audience), field(`audiences[${i}]`), "is not an audience");
  });
  checkGrants(violations, field("scopes"), scopes);
  checkContext(violations, field("context_equals"), contextEquals);
  checkContext(violations, field("context_prefixes"), contextPrefixes);
  return {
    ...(notBeforeMs !== undefined && { notBeforeMs }),
    ...(expireTimeMs !== undefined && { expireTimeMs }),
    ...(audiences.length > 0 && { audiences }),
    ...(scopes.length > 0 && { scopes }),
    ...(cidrs.length > 0 && { cidrs }),
    ...(Object.keys(contextEquals).length > 0 && { contextEquals }),
    ...(Object.keys(contextPrefixes).length > 0 && { contextPrefixes }),
  };
}

/** Notes what is wrong with a request context or a demand on it. */
export function checkContext(
  violations: FieldViolations,
  field: string,
  context: Readonly<Record<string, string>>,
): void {
  const entries = Object.entries(context);
  if (!violations.require(entries.length <= contextEntriesMax, field, `must have at most ${contextEntriesMax} entries`))
    return;
  for (const [name, value] of entries) {
    const entry = `${field}[${JSON.stringify(name.slice(0, 64))}]`;
    violations.require(isContextName(name), entry, "has a name that doesn't match [a-z][a-z0-9_.-]{0,63}");
    checkText(violations, entry, value, contextValueBytesMax);
  }
}

/** Whether a text has neither C0, DEL nor C1 control characters, and no half of a surrogate pair. */
function isPlainText(text: string): boolean {
  return !/[\p{Cc}\p{Cs}]/u.test(text);
}
