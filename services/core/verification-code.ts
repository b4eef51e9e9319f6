/**
 * The outcomes of a verification, in the order in which the checks are made: the names of
 * `ichor.v1.VerificationCode` without prefix. A test holds the two lists equal.
 */
export const verificationCodes = [
  "MALFORMED",
  "NOT_FOUND",
  "SIGNATURE_INVALID",
  "UNSUPPORTED_CAVEAT",
  "REVOKED",
  "DISABLED",
  "EXPIRED",
  "NOT_YET_VALID",
  "AUDIENCE_MISMATCH",
  "IP_NOT_ALLOWED",
  "CONSTRAINT_NOT_MET",
  "INSUFFICIENT_SCOPE",
  "RATE_LIMITED",
  "VALID",
] as const;

export type VerificationCode = (typeof verificationCodes)[number];

/**
 * Gives the one of two failures whose check comes first; undefined if there is neither. So several layers (a key, its
 * constraints, a token's) can each be checked on their own: the first failure of all is the earliest of their firsts.
 */
export function earlierCode<C extends VerificationCode>(a: C | undefined, b: C | undefined): C | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  return verificationCodes.indexOf(a) <= verificationCodes.indexOf(b) ? a : b;
}
