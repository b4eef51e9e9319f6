import { type KeyObject, sign } from "node:crypto";
import { CompactSign } from "jose";
import type { JwtAlgorithm } from "./algorithms.ts";
import type { JwtClaims } from "./claims.ts";
import { constraintsExtension, type JwtHeader, makeHeader } from "./header.ts";
import { readJwt } from "./read-jwt.ts";

/** A private key that JWTs are signed with. Never logged. */
export interface JwtSigner {
  /** Thumbprint of the public key. */
  readonly kid: string;
  readonly algorithm: JwtAlgorithm;
  readonly privateKey: KeyObject;
}

/** Signs claims as a JWT in compact form. Throws TypeError if no verifier would read it: the claims were too large. */
export async function signJwt(claims: JwtClaims, signer: JwtSigner): Promise<string> {
  const payload = Buffer.from(JSON.stringify(claims));
  const header = makeHeader(signer.algorithm, signer.kid, claims.cst !== undefined);
  const text = header.alg === "EdDSA" ? signHere(header, payload, signer) : await signByJose(header, payload, signer);
  if (readJwt(text) === undefined) throw new TypeError("the claims are too large for a token");
  return text;
}

/**
 * Ed25519 (RFC 8037 section 3.1) in this thread: it takes less than jose's turn through another one does. The bytes are
 * the same, which a test sees to; RS256 takes long enough to be worth the turn.
 */
function signHere(header: JwtHeader, payload: Buffer, { privateKey }: JwtSigner): string {
  const signed = `${Buffer.from(JSON.stringify(header)).toString("base64url")}.${payload.toString("base64url")}`;
  return `${signed}.${sign(null, Buffer.from(signed), privateKey).toString("base64url")}`;
}

function signByJose(header: JwtHeader, payload: Buffer, { privateKey }: JwtSigner): Promise<string> {
  const { alg, kid, typ, crit } = header;
  return new CompactSign(payload)
    .setProtectedHeader(crit ? { ...header, crit: [...crit] } : { alg, kid, typ })
    .sign(privateKey, { crit: { [constraintsExtension]: true } });
}

/** Both ways, for a test that holds them equal. */
export const signWays = { signHere, signByJose };
