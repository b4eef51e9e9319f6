import type { CredentialVerifier } from "../remote-verifier.ts";
import { VerifierUnavailableError } from "../unavailable-error.ts";
import type { RateLimitLeft, VerifyDemand, VerifyResult } from "../verify-result.ts";

/** The headers of a request that may have a credential. */
export interface PresentedHeaders {
  readonly authorization?: string | null | undefined;
  readonly "x-api-key"?: string | readonly string[] | null | undefined;
}

/** What became of a request's credential. */
export type Outcome = { readonly allowed: true; readonly result: VerifyResult } | Refusal;

export interface Refusal {
  readonly allowed: false;
  /**
   * 400: two credentials, or what is no single one. 401: none, or one that isn't valid. 403: valid, but it doesn't allow
   * this. 429: a rate limit is used up. 503: it can't be told.
   */
  readonly status: 400 | 401 | 403 | 429 | 503;
  /** A name of VerificationCode, or why there is none. */
  readonly code: string;
  /** Of the response; names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
}

/** Codes of credentials that are good, and don't allow this request (RFC 6750 section 3.1: insufficient_scope). */
const forbidding: ReadonlySet<string> = new Set(["IP_NOT_ALLOWED", "CONSTRAINT_NOT_MET", "INSUFFICIENT_SCOPE"]);
const oneWord = /^[\x21-\x7e]+$/;

/**
 * Verifies the credential of a request: of `Authorization: Bearer` (RFC 6750 section 2.1) or `X-API-Key`; other schemes are
 * none. Rejects only for misuse.
 */
export async function verifyPresented(
  verifier: CredentialVerifier,
  headers: PresentedHeaders,
  demand: VerifyDemand,
): Promise<Outcome> {
  const [credential, second] = [...bearerIn(headers.authorization ?? ""), ...apiKeyIn(headers["x-api-key"] ?? "")];
  if (credential === undefined) return refused(401, "MISSING", "");
  // Who stands before this and looks at the other one would see another caller.
  if (second !== undefined || !oneWord.test(credential)) return refused(400, "INVALID_FIELD", "invalid_request");
  try {
    const result = await verifier.verify(credential, demand);
    return result.valid ? { allowed: true, result } : refusalOf(result, demand);
  } catch (error) {
    if (!(error instanceof VerifierUnavailableError)) throw error;
    return { allowed: false, status: 503, code: error.reason, headers: {} };
  }
}

function bearerIn(authorization: string): readonly string[] {
  const text = /^Bearer(?: +|$)(.*)$/i.exec(authorization)?.[1];
  return text === undefined ? [] : [text.trimEnd()];
}

function apiKeyIn(header: string | readonly string[]): readonly string[] {
  return header === "" ? [] : typeof header === "string" ? [header] : header;
}

function refusalOf({ code, rateLimits = [] }: VerifyResult, { scopes = [] }: VerifyDemand): Refusal {
  if (code === "RATE_LIMITED") return { allowed: false, status: 429, code, headers: retryAfter(rateLimits) };
  if (!forbidding.has(code)) return refused(401, code, "invalid_token");
  return refused(403, code, "insufficient_scope", scopes.length > 0 ? `, scope="${scopes.join(" ")}"` : "");
}

/** A refusal with a challenge (RFC 6750 section 3); without an `error` if there was no credential. */
function refused(status: 400 | 401 | 403, code: string, error: string, more = ""): Refusal {
  const challenge = error === "" ? "Bearer" : `Bearer error="${error}"${more}`;
  return { allowed: false, status, code, headers: { "www-authenticate": challenge } };
}

/** RFC 9110 section 10.2.3; not there if waiting doesn't help. */
function retryAfter(limits: readonly RateLimitLeft[]): Readonly<Record<string, string>> {
  const seconds = limits.flatMap(({ retryTime }) => {
    return retryTime === undefined ? [] : Math.ceil((retryTime.getTime() - Date.now()) / 1000);
  });
  return seconds.length === 0 ? {} : { "retry-after": String(Math.max(1, ...seconds)) };
}
