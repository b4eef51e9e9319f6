import { create } from "@bufbuild/protobuf";
import { CredentialKind } from "../../gen/ichor/v1/api_key_pb.ts";
import {
  VerifyCredentialRequestSchema,
  type VerifyCredentialResponse,
  VerifyCredentialResponseSchema,
} from "../../gen/ichor/v1/verification_pb.ts";
import type { Caller } from "../core/caller.ts";
import { IchorError } from "../core/errors.ts";
import { after, type Eventual } from "../core/eventual.ts";
import { parseId } from "../core/ids.ts";
import type { VerifierStatus } from "../verifier/verifier.ts";
import { type Decide, isToken } from "./decide.ts";

/**
 * Gives the caller behind a key that the server issued in the relay's own tenant: by a kept answer, or by asking. Throws
 * CREDENTIAL_REFUSED for all else, without saying why; rejects with UPSTREAM_UNAVAILABLE if it can't be told. No use of
 * its rate limits is taken.
 */
export function relayCallers(
  decide: Decide,
  status: () => Pick<VerifierStatus, "tenantId" | "issuer">,
): (presentedCredential: string, clientAddress: string) => Eventual<Caller> {
  return (credential, clientIp) => {
    const { tenantId, issuer = "" } = status();
    // What lasts for minutes keeps no stream open.
    if (isToken(credential)) throw refused();
    const asked = create(VerifyCredentialRequestSchema, { credential, clientIp, audience: issuer, cost: 0n });
    return after(decide(asked), (answer) => {
      const caller = callerOf(create(VerifyCredentialResponseSchema, answer));
      if (caller === undefined || caller.tenantId !== tenantId) throw refused();
      return caller;
    });
  };
}

function callerOf({ valid, kind, key }: VerifyCredentialResponse): Caller | undefined {
  const keyId = parseId("key", key?.id ?? "");
  const tenantId = parseId("ten", key?.tenantId ?? "");
  if (!valid || kind !== CredentialKind.ISSUED_KEY || keyId === undefined || tenantId === undefined) return undefined;
  // Nobody acts on other tenants here.
  return { keyId, tenantId, inDefaultTenant: false, scopes: key?.scopes ?? [], kind: "ISSUED_KEY" };
}

function refused(): IchorError {
  return new IchorError("CREDENTIAL_REFUSED", "the credential is not valid");
}
