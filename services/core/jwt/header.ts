import { isJwtAlgorithm, type JwtAlgorithm } from "./algorithms.ts";

/** The header of our JWTs. */
export interface JwtHeader {
  readonly alg: JwtAlgorithm;
  /** Thumbprint of the signing key. */
  readonly kid: string;
  readonly typ: typeof jwtType;
  readonly crit?: readonly [typeof constraintsExtension];
  /** Version of the claim `cst`. */
  readonly "ichor-cst"?: typeof constraintsVersion;
}

/** RFC 9068 section 2.1: so that an access token is never taken for another kind of JWT, nor the other way. */
export const jwtType = "at+jwt";
/** The header parameter that says that the claims hold constraints; critical, so that who can't check them refuses (RFC 7515 section 4.1.11). */
export const constraintsExtension = "ichor-cst";
export const constraintsVersion = 1;

const members: readonly string[] = ["alg", "kid", "typ", "crit", constraintsExtension] satisfies (keyof JwtHeader)[];

/** Makes the header of a JWT whose claims have constraints, or not. */
export function makeHeader(algorithm: JwtAlgorithm, kid: string, constrained: boolean): JwtHeader {
  const plain = { alg: algorithm, kid, typ: jwtType } as const;
  return constrained ? { ...plain, crit: [constraintsExtension], [constraintsExtension]: constraintsVersion } : plain;
}

/**
 * Reads a header; undefined unless it is exactly one that {@link makeHeader} could have made. Other parameters are
 * refused and never followed: `jwk`, `jku`, `x5u` and `x5c` let a token choose its own key (RFC 8725 section 3.10).
 */
export function readHeader(value: unknown): JwtHeader | undefined {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return undefined;
  const header = value as Readonly<Record<string, unknown>>;
  const { alg, kid, typ, crit } = header;
  if (Object.keys(header).some((name) => !members.includes(name))) return undefined;
  if (!isJwtAlgorithm(alg) || typeof kid !== "string" || typ !== jwtType) return undefined;
  const version = header[constraintsExtension];
  if (crit === undefined && version === undefined) return makeHeader(alg, kid, false);
  const critical = Array.isArray(crit) && crit.length === 1 && crit[0] === constraintsExtension;
  return critical && version === constraintsVersion ? makeHeader(alg, kid, true) : undefined;
}
