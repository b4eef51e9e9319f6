import type { MessageInitShape, MessageShape } from "@bufbuild/protobuf";
import type { AdminService } from "../../gen/ichor/v1/admin_service_pb.ts";
import type {
  VerifyCredentialRequestSchema,
  VerifyCredentialResponseSchema,
} from "../../gen/ichor/v1/verification_pb.ts";
import { after, type Eventual } from "../core/eventual.ts";
import { FieldViolations } from "../core/field-violations.ts";
import type { Call, Unary } from "../rpc/call.ts";
import { checkVerification, checkVerifications, costOf, demandOf, verificationToProto } from "../wire/verification.ts";
import type { AdminDeps } from "./deps.ts";

type VerifyDeps = Pick<AdminDeps, "verifyPresented" | "countVerification">;
type Request = MessageShape<typeof VerifyCredentialRequestSchema>;
type Response = MessageInitShape<typeof VerifyCredentialResponseSchema>;

/** VerifyCredential: whether a credential is authentic and allows a request. "No" is an answer. */
export function verifyCredential(deps: VerifyDeps): Unary<typeof AdminService.method.verifyCredential> {
  return (request, call) => {
    const violations = new FieldViolations();
    checkVerification(violations, request, "");
    violations.throwIfAny();
    return verify(deps, request, call);
  };
}

/** BatchVerifyCredentials: up to 100 verifications, each on its own; none is done if one of them is malformed. */
export function batchVerifyCredentials(deps: VerifyDeps): Unary<typeof AdminService.method.batchVerifyCredentials> {
  return async ({ requests }, call) => {
    const violations = new FieldViolations();
    checkVerifications(violations, requests);
    violations.throwIfAny();
    // Whoever waits for the latest revision waits for all: one wait, not a hundred.
    const latest = requests.reduce((a, b) => (b.minRevision > a.minRevision ? b : a));
    const first = await verify(deps, latest, call);
    const others = requests.map((request) => (request === latest ? first : verify(deps, request, call)));
    return { responses: await Promise.all(others) };
  };
}

function verify(deps: VerifyDeps, request: Request, call: Call): Eventual<Response> {
  const { credential, minRevision, noCache } = request;
  const options = {
    tenantId: call.tenantId,
    demand: demandOf(request),
    minRevision,
    noCache,
    cost: costOf(request),
    call,
  };
  return after(deps.verifyPresented(credential, options), (verification) => {
    deps.countVerification(verification);
    return verificationToProto(verification);
  });
}
