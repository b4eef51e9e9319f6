/**
 * The signature algorithms that JWTs may have (RFC 8037, RFC 7518 section 3.3 and 3.4). The verifier's own list: a token
 * never brings its algorithm (RFC 8725 section 3.1).
 */
export const jwtAlgorithms = ["EdDSA", "ES256", "RS256"] as const;

export type JwtAlgorithm = (typeof jwtAlgorithms)[number];

/** Least bits of an RSA modulus (RFC 7518 section 3.3). */
export const rsaBitsMin = 2048;

export function isJwtAlgorithm(value: unknown): value is JwtAlgorithm {
  return (jwtAlgorithms as readonly unknown[]).includes(value);
}
