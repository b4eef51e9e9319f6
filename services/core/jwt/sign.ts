import type { KeyObject } from "node:crypto";
import { CompactSign } from "jose";
import type { JwtAlgorithm } from "./algorithms.ts";
import type { JwtClaims } from "./claims.ts";
import { constraintsExtension, makeHeader } from "./header.ts";
import { readJwt } from "./read-jwt.ts";

/** A private key that JWTs are signed with. Never logged. */
export interface JwtSigner {
  /** Thumbprint of the public key. */
  readonly kid: string;
  readonly algorithm: JwtAlgorithm;
  readonly privateKey: KeyObject;
}

/** Signs claims as a JWT in compact form. Throws TypeError if no verifier would read it: the claims were too large. */
export async function signJwt(claims: JwtClaims, { kid, algorithm, privateKey }: JwtSigner): Promise<string> {
  const header = makeHeader(algorithm, kid, claims.cst !== undefined);
  const text = await new CompactSign(Buffer.from(JSON.stringify(claims)))
    .setProtectedHeader(header.crit ? { ...header, crit: [...header.crit] } : { alg: header.alg, kid, typ: header.typ })
    .sign(privateKey, { crit: { [constraintsExtension]: true } });
  if (readJwt(text) === undefined) throw new TypeError("the claims are too large for a token");
  return text;
}
