import type { MessageInitShape, MessageShape } from "@bufbuild/protobuf";
import type { AdminService } from "../../gen/ichor/v1/admin_service_pb.ts";
import type {
  VerifyCredentialRequestSchema,
  VerifyCredentialResponseSchema,
} from "../../gen/ichor/v1/verification_pb.ts";
import { isAudience } from "../core/audience.ts";
import { parseAddress } from "../core/cidr.ts";
import { FieldViolations } from "../core/field-violations.ts";
import { isScope } from "../core/scopes.ts";
import type { Call, Unary } from "../rpc/call.ts";
import type { Verification } from "../verification/verify-presented.ts";
import { credentialKindToProto, verificationCodeToProto } from "../wire/enums.ts";
import { toDuration, toTimestamp } from "../wire/time.ts";
import type { AdminDeps } from "./deps.ts";
import { checkContext } from "./request-fields.ts";

const requiredScopesMax = 32;
const batchMax = 100;

type Request = MessageShape<typeof VerifyCredentialRequestSchema>;
type Response = MessageInitShape<typeof VerifyCredentialResponseSchema>;

/** VerifyCredential: whether a credential is authentic and allows a request. "No" is an answer. */
export function verifyCredential(
  deps: Pick<AdminDeps, "verifyPresented">,
): Unary<typeof AdminService.method.verifyCredential> {
  return async (request, call) => {
    const violations = new FieldViolations();
    checkVerification(violations, request, "");
    violations.throwIfAny();
    return verify(deps, request, call);
  };
}

/** BatchVerifyCredentials: up to 100 verifications, each on its own; none is done if one of them is malformed. */
export function batchVerifyCredentials(
  deps: Pick<AdminDeps, "verifyPresented">,
): Unary<typeof AdminService.method.batchVerifyCredentials> {
  return async ({ requests }, call) => {
    const violations = new FieldViolations();
    violations.require(
      requests.length >= 1 && requests.length <= batchMax,
      "requests",
      `must have 1 to ${batchMax} items`,
    );
    requests.slice(0, batchMax).forEach((request, i) => {
      checkVerification(violations, request, `requests[${i}].`);
    });
    violations.throwIfAny();
    return { responses: await Promise.all(requests.map((request) => verify(deps, request, call))) };
  };
}

/** Notes what is wrong with a request; a malformed *credential* is none of it. */
function checkVerification(violations: FieldViolations, request: Request, at: string): void {
  const { requiredScopes, audience, clientIp, context, cost, minRevision } = request;
  violations.require(request.credential !== "", `${at}credential`, "must not be empty");
  violations.require(
    requiredScopes.length <= requiredScopesMax,
    `${at}required_scopes`,
    `must have at most ${requiredScopesMax} scopes`,
  );
  requiredScopes.slice(0, requiredScopesMax).forEach((scope, i) => {
    violations.require(isScope(scope), `${at}required_scopes[${i}]`, "is not a scope, or is a pattern");
  });
  violations.require(audience === "" || isAudience(audience), `${at}audience`, "is not an audience");
  violations.require(
    clientIp === "" || parseAddress(clientIp) !== undefined,
    `${at}client_ip`,
    "is not an IPv4 or IPv6 address",
  );
  checkContext(violations, `${at}context`, context);
  violations.require(cost === 0n || cost === 1n, `${at}cost`, "must be 0 or 1 until limits are enforced");
  violations.require(minRevision >= 0n, `${at}min_revision`, "must not be negative");
}

async function verify(deps: Pick<AdminDeps, "verifyPresented">, request: Request, call: Call): Promise<Response> {
  const { credential, requiredScopes, audience, clientIp, context, minRevision, noCache } = request;
  const demand = { requiredScopes, audience: audience || undefined, clientIp: clientIp || undefined, context };
  const verification = await deps.verifyPresented(credential, {
    tenantId: call.tenantId,
    demand,
    minRevision,
    noCache,
    call,
  });
  return verificationToProto(verification);
}

function verificationToProto(verification: Verification): Response {
  const { code, kind, key, version, scopes, expireTimeMs, revision, ageMs } = verification;
  return {
    valid: code === "VALID",
    code: verificationCodeToProto[code],
    ...(kind && { kind: credentialKindToProto[kind] }),
    ...(key && {
      key: {
        id: key.id,
        name: key.name,
        ownerId: key.ownerId,
        tenantId: key.tenantId,
        scopes: [...(scopes ?? [])],
        labels: { ...key.labels },
        ...(key.metadata && { metadata: key.metadata }),
        expireTime: toTimestamp(expireTimeMs),
        secretVersionId: version === undefined ? "" : String(version.number),
      },
    }),
    revision,
    age: toDuration(Math.ceil(ageMs)),
  };
}
