import { compactVerify, errors } from "jose";
import { notAuthentic, type TokenAuthentication } from "../derived-token.ts";
import { readClaims } from "./claims.ts";
import { constraintsExtension } from "./header.ts";
import { parseJson, type UnverifiedJwt } from "./read-jwt.ts";
import type { VerificationKey } from "./verification-key.ts";

/**
 * The first step for a JWT: is it authentic, and what does it say? Whether it allows a request now is the second,
 * `tokenFailure`, so that a bad signature is never reported as an expired token.
 *
 * SIGNATURE_INVALID: wrong signature, no such key, another issuer's. MALFORMED: signed with another algorithm than the
 * key's (RFC 8725 section 3.1), or its claims aren't those of a derived token.
 *
 * @param key what `unverifiedHeader.kid` finds among the issuer's keys that are trusted now; undefined if none
 */
export async function authenticateJwt(
  { text, unverifiedHeader }: UnverifiedJwt,
  key: VerificationKey | undefined,
  issuer: string,
): Promise<TokenAuthentication> {
  if (key === undefined) return notAuthentic("SIGNATURE_INVALID");
  if (unverifiedHeader.alg !== key.algorithm) return notAuthentic("MALFORMED");
  const claims = await verifiedPayload(text, key);
  if (claims === undefined) return notAuthentic("SIGNATURE_INVALID");
  return readClaims(parseJson(claims), issuer, unverifiedHeader.crit !== undefined);
}

/** Gives the payload if the signature is right. Any other fault of jose's is one of ours: the outside was checked. */
async function verifiedPayload(text: string, { key, algorithm }: VerificationKey): Promise<Uint8Array | undefined> {
  try {
    const verified = await compactVerify(text, key, {
      algorithms: [algorithm],
      crit: { [constraintsExtension]: true },
    });
    return verified.payload;
  } catch (error) {
    if (error instanceof errors.JWSSignatureVerificationFailed) return undefined;
    throw error;
  }
}
