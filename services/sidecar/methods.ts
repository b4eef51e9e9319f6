import { AdminService } from "../../gen/ichor/v1/admin_service_pb.ts";
import { CredentialKind } from "../../gen/ichor/v1/api_key_pb.ts";
import { DerivationService } from "../../gen/ichor/v1/derivation_service_pb.ts";
import { VerificationCode, type VerifyCredentialRequest } from "../../gen/ichor/v1/verification_pb.ts";
import { after } from "../core/eventual.ts";
import { FieldViolations } from "../core/field-violations.ts";
import { partOfService, type Registration } from "../rpc/method-registry.ts";
import { checkVerification, checkVerifications } from "../wire/verification.ts";
import { type Decide, isToken } from "./decide.ts";
import type { Upstream } from "./upstream.ts";

/**
 * The methods that a side-car serves: VerifyCredential, its batch and VerifyToken, with the server's messages and rules. Of
 * a batch is asked what can't be decided here, in one call: as `together` does.
 */
export function sidecarMethods(decide: Decide, upstream: Pick<Upstream, "together">): readonly Registration[] {
  return [
    credentialMethods(decide, upstream),
    partOfService(DerivationService, {
      verifyToken(request) {
        check(request, (violations) => {
          violations.require(request.audience !== "", "audience", "must be set: a token is meant for an audience");
        });
        if (!isToken(request.credential)) return none;
        return after(decide(request), (answer) => (isTokenKind(answer.kind) ? answer : none));
      },
    }),
  ];
}

/** VerifyCredential and its batch. */
export function credentialMethods(decide: Decide, upstream: Pick<Upstream, "together">): Registration {
  return partOfService(AdminService, {
    verifyCredential(request) {
      check(request);
      return decide(request);
    },
    async batchVerifyCredentials({ requests }) {
      const violations = new FieldViolations();
      checkVerifications(violations, requests);
      violations.throwIfAny();
      // If one of them can't be told, that is no answer to the others.
      return { responses: await Promise.all(upstream.together(() => requests.map((request) => decide(request)))) };
    },
  });
}

const none = { code: VerificationCode.MALFORMED };

function isTokenKind(kind: CredentialKind | undefined): boolean {
  return kind === CredentialKind.JWT || kind === CredentialKind.MACAROON;
}

function check(request: VerifyCredentialRequest, more: (violations: FieldViolations) => void = () => {}): void {
  const violations = new FieldViolations();
  checkVerification(violations, request, "");
  more(violations);
  violations.throwIfAny();
}
