import type { MessageInitShape, MessageShape } from "@bufbuild/protobuf";
import type {
  VerifyCredentialRequestSchema,
  VerifyCredentialResponseSchema,
} from "../../gen/ichor/v1/verification_pb.ts";
import type { ApiKey } from "../core/api-key.ts";
import { isAudience } from "../core/audience.ts";
import { parseAddress } from "../core/cidr.ts";
import type { Demand } from "../core/demand.ts";
import type { FieldViolations } from "../core/field-violations.ts";
import { PerSecret } from "../core/per-secret.ts";
import { isScope } from "../core/scopes.ts";
import type { Verification } from "../core/verification-outcome.ts";
import { credentialKindToProto, verificationCodeToProto } from "./enums.ts";
import { rateLimitStatesToProto } from "./rate-limit.ts";
import { checkContext } from "./request-fields.ts";
import { toDuration, toTimestamp } from "./time.ts";

const requiredScopesMax = 32;
const costMax = 1_000_000;
const batchMax = 100;

type Request = MessageShape<typeof VerifyCredentialRequestSchema>;
type Response = MessageInitShape<typeof VerifyCredentialResponseSchema>;

/** Notes what is wrong with a request; a malformed *credential* is none of it. */
export function checkVerification(violations: FieldViolations, request: Request, at: string): void {
  const { requiredScopes, audience, clientIp, context, cost, minRevision } = request;
  violations.require(request.credential !== "", `${at}credential`, "must not be empty");
  violations.require(
    requiredScopes.length <= requiredScopesMax,
    `${at}required_scopes`,
    `must have at most ${requiredScopesMax} scopes`,
  );
  requiredScopes.slice(0, requiredScopesMax).forEach((scope, i) => {
    if (!isScope(scope)) violations.add(`${at}required_scopes[${i}]`, "is not a scope, or is a pattern");
  });
  violations.require(audience === "" || isAudience(audience), `${at}audience`, "is not an audience");
  violations.require(
    clientIp === "" || parseAddress(clientIp) !== undefined,
    `${at}client_ip`,
    "is not an IPv4 or IPv6 address",
  );
  checkContext(violations, `${at}context`, context);
  violations.require(cost === undefined || (cost >= 0n && cost <= costMax), `${at}cost`, `must be 0 to ${costMax}`);
  violations.require(minRevision >= 0n, `${at}min_revision`, "must not be negative");
}

/** Notes what is wrong with the requests of a batch; they are that many, and no more are looked at. */
export function checkVerifications(violations: FieldViolations, requests: readonly Request[]): void {
  const fits = requests.length >= 1 && requests.length <= batchMax;
  violations.require(fits, "requests", `must have 1 to ${batchMax} items`);
  requests.slice(0, batchMax).forEach((request, i) => {
    checkVerification(violations, request, `requests[${i}].`);
  });
}

/** What a request asks of a credential. */
export function demandOf({ requiredScopes, audience, clientIp, context }: Request): Demand {
  return { requiredScopes, audience: audience || undefined, clientIp: clientIp || undefined, context };
}

/** What a request takes of rate limits; 1 if it doesn't say. */
export function costOf({ cost }: Request): number {
  return cost === undefined ? 1 : Number(cost);
}

/** An outcome for callers. */
export function verificationToProto(verification: Verification): Response {
  const { code, kind, key, token, rateLimits, revision, ageMs } = verification;
  return {
    valid: code === "VALID",
    code: verificationCodeToProto[code],
    ...(kind && { kind: credentialKindToProto[kind] }),
    ...(key && { key: answerKeyOf(verification, key) }),
    tokenId: token?.tokenId ?? "",
    ...(rateLimits && { rateLimits: rateLimitStatesToProto(rateLimits) }),
    revision,
    age: toDuration(Math.ceil(ageMs)),
  };
}

type AnswerKey = NonNullable<Response["key"]>;

/** Frozen, so that the codecs by hand may keep what they make of it. */
const answerKeys = new PerSecret<AnswerKey>();

function answerKeyOf(verification: Verification, key: ApiKey): AnswerKey {
  const { version, token } = verification;
  // A token narrows what its key allows.
  if (version === undefined || token !== undefined) return describe(verification, key);
  return answerKeys.of(key, version, () => Object.freeze(describe(verification, key)));
}

function describe({ version, scopes, expireTimeMs }: Verification, key: ApiKey): AnswerKey {
  return {
    id: key.id,
    name: key.name,
    ownerId: key.ownerId,
    tenantId: key.tenantId,
    scopes: [...(scopes ?? [])],
    labels: { ...key.labels },
    ...(key.metadata && { metadata: key.metadata }),
    expireTime: toTimestamp(expireTimeMs),
    secretVersionId: version === undefined ? "" : String(version.number),
  };
}
