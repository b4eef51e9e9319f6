import { VerifierUnavailableError } from "../unavailable-error.ts";
import type { Verifier } from "../verifier.ts";
import type { VerifyDemand, VerifyResult } from "../verify-result.ts";

/** What became of a request's bearer token. */
export type BearerOutcome =
  | { readonly allowed: true; readonly result: VerifyResult }
  /** 401: no token, or one that isn't valid. 403: valid, but it doesn't allow this. 503: it can't be told. */
  | { readonly allowed: false; readonly status: 401 | 403 | 503; readonly code: string };

/** Codes of tokens that are good, and don't allow this request (RFC 6750 section 3.1: insufficient_scope). */
const forbidding: ReadonlySet<string> = new Set(["IP_NOT_ALLOWED", "CONSTRAINT_NOT_MET", "INSUFFICIENT_SCOPE"]);
const scheme = /^Bearer +([^ ]+) *$/i;

/** Verifies the token in an `Authorization` header (RFC 6750 section 2.1). Rejects only for misuse. */
export async function verifyBearer(
  verifier: Pick<Verifier, "verify">,
  authorization: string | undefined | null,
  demand: VerifyDemand,
): Promise<BearerOutcome> {
  const token = scheme.exec(authorization ?? "")?.[1];
  if (token === undefined) return { allowed: false, status: 401, code: "MISSING" };
  try {
    const result = await verifier.verify(token, demand);
    if (result.valid) return { allowed: true, result };
    return { allowed: false, status: forbidding.has(result.code) ? 403 : 401, code: result.code };
  } catch (error) {
    if (error instanceof VerifierUnavailableError) return { allowed: false, status: 503, code: error.reason };
    throw error;
  }
}

/** The header `WWW-Authenticate` of a refusal (RFC 6750 section 3). */
export function challengeOf(outcome: Extract<BearerOutcome, { allowed: false }>): string {
  if (outcome.code === "MISSING") return "Bearer";
  return `Bearer error="${outcome.status === 403 ? "insufficient_scope" : "invalid_token"}"`;
}
