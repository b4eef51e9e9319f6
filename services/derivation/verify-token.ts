import type { DerivationService } from "../../gen/ichor/v1/derivation_service_pb.ts";
import { FieldViolations } from "../core/field-violations.ts";
import type { Unary } from "../rpc/call.ts";
import { checkVerification, costOf, demandOf, verificationToProto } from "../wire/verification.ts";
import type { DerivationDeps } from "./deps.ts";

/** VerifyToken: whether a derived token is authentic and allows a request. What isn't one is MALFORMED here. */
export function verifyToken(
  deps: Pick<DerivationDeps, "verifyPresented" | "countVerification">,
): Unary<typeof DerivationService.method.verifyToken> {
  return async (request, call) => {
    const violations = new FieldViolations();
    checkVerification(violations, request, "");
    violations.require(request.audience !== "", "audience", "must be set: a token is meant for an audience");
    violations.throwIfAny();
    const { minRevision, noCache } = request;
    const verification = await deps.verifyPresented(request.credential, {
      tenantId: call.tenantId,
      demand: demandOf(request),
      minRevision,
      noCache,
      cost: costOf(request),
      call,
    });
    const { kind, revision, ageMs } = verification;
    const isToken = kind === "JWT" || kind === "MACAROON";
    const answer = isToken ? verification : { code: "MALFORMED" as const, revision, ageMs };
    deps.countVerification(answer);
    return verificationToProto(answer);
  };
}
