import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { DurationSchema } from "@bufbuild/protobuf/wkt";
import type {
  VerifyCredentialRequest,
  VerifyCredentialResponse,
  VerifyCredentialResponseSchema,
} from "../../gen/ichor/v1/verification_pb.ts";
import type { Eventual } from "../core/eventual.ts";
import { readToken } from "../verifier/token-keys.ts";
import { VerifierUnavailableError } from "../verifier/unavailable-error.ts";
import type { Verifier } from "../verifier/verifier.ts";
import { verifyResponseOf } from "../verifier/verify-response.ts";
import { toDuration } from "../wire/time.ts";
import type { KeyAnswers } from "./key-answers.ts";

type Response = MessageInitShape<typeof VerifyCredentialResponseSchema>;

export interface DecideDeps {
  readonly verifier: Pick<Verifier, "verify" | "status">;
  /** Whose tokens the verifier verifies. */
  readonly audience: string;
  readonly keys: Pick<KeyAnswers, "known" | "first" | "past" | "revision">;
}

/**
 * Decides about a credential here if that can be done, else by the server; see ADR 23 for what that is. The request's
 * fields are sound. Rejects with UPSTREAM_UNAVAILABLE if neither can tell.
 */
export type Decide = (request: VerifyCredentialRequest) => Eventual<Response>;

export function decideHere({ verifier, audience, keys }: DecideDeps): Decide {
  return (request) => {
    const { ready, stale, age } = verifier.status();
    // Who wants more than is known here, or what is known is too old to tell: the server knows.
    if (!ready || stale || request.noCache || request.minRevision > keys.revision) return keys.past(request);
    if (isToken(request.credential)) return decideToken(request);
    const known = keys.known(request);
    return known === undefined ? keys.first(request) : asOfNow(known, age);
  };

  async function decideToken(request: VerifyCredentialRequest): Promise<Response> {
    if (request.audience !== audience) return keys.past(request);
    const { credential, requiredScopes: scopes, clientIp, context } = request;
    try {
      const result = await verifier.verify(credential, { scopes, context, ...(clientIp !== "" && { clientIp }) });
      // It may be another system's token, which was imported as a key.
      if (result.code === "MALFORMED") return keys.known(request) ?? keys.first(request);
      return verifyResponseOf(result);
    } catch (error) {
      if (error instanceof VerifierUnavailableError) return keys.past(request);
      throw error;
    }
  }

  /** What the feed hasn't ended holds as of how far it was followed. */
  function asOfNow(answer: VerifyCredentialResponse, ageSeconds: number): Response {
    const age = create(DurationSchema, toDuration(Math.ceil(ageSeconds * 1000)));
    return { ...answer, revision: keys.revision, age };
  }
}

/** Whether a text has the form of a derived token. */
export function isToken(presentedCredential: string): boolean {
  return readToken(presentedCredential) !== undefined;
}
