import { createHash, createPublicKey, type KeyObject } from "node:crypto";
import { isJwtAlgorithm, type JwtAlgorithm, rsaBitsMin } from "./algorithms.ts";

/** A public key that JWTs are checked with: one key, one algorithm (RFC 8725 section 3.1). */
export interface VerificationKey {
  /** RFC 7638 thumbprint, base64url of 32 bytes. */
  readonly kid: string;
  readonly algorithm: JwtAlgorithm;
  readonly key: KeyObject;
}

/** A public key as JSON (RFC 7517), as far as our three kinds need it. */
export interface PublicJwk {
  readonly kty: string;
  readonly crv?: string;
  readonly x?: string;
  readonly y?: string;
  readonly n?: string;
  readonly e?: string;
  /** `EdDSA`, never `Ed25519` (RFC 9864), which widespread libraries don't know. */
  readonly alg?: string;
  readonly kid?: string;
  /** `sig` (RFC 7517 section 4.2). */
  readonly use?: string;
}

/** What a thumbprint covers, in the order that it covers it (RFC 7638 section 3.2, RFC 8037 section 2). */
const requiredMembers: Readonly<Record<JwtAlgorithm, readonly (keyof PublicJwk)[]>> = {
  EdDSA: ["crv", "kty", "x"],
  ES256: ["crv", "kty", "x", "y"],
  RS256: ["e", "kty", "n"],
};

/**
 * Reads a public key. Throws TypeError unless it says its algorithm, is of the kind that the algorithm needs, and its
 * `kid`, if there is one, is its thumbprint: a key can't pose under the name of another.
 */
export function importVerificationKey(jwk: PublicJwk): VerificationKey {
  const { alg, kid } = jwk;
  if (!isJwtAlgorithm(alg)) throw new TypeError("the key has no algorithm of ours");
  const thumbprint = jwkThumbprint(jwk);
  if (kid !== undefined && kid !== thumbprint) throw new TypeError("the key's id is not its thumbprint");
  const members = Object.fromEntries(requiredMembers[alg].map((name) => [name, jwk[name]]));
  const key = createPublicKey({ key: members, format: "jwk" });
  if (!fits(key, alg)) throw new TypeError(`not a key for ${alg}`);
  return { kid: thumbprint, algorithm: alg, key };
}

/** Gives the thumbprint of a public key with a known `alg`: SHA-256 in base64url (RFC 7638 section 3). */
export function jwkThumbprint(jwk: PublicJwk): string {
  if (!isJwtAlgorithm(jwk.alg)) throw new TypeError("the key has no algorithm of ours");
  const members = requiredMembers[jwk.alg].map((name) => [name, jwk[name]] as const);
  if (members.some(([, value]) => typeof value !== "string")) throw new TypeError(`not a key for ${jwk.alg}`);
  return createHash("sha256")
    .update(JSON.stringify(Object.fromEntries(members)))
    .digest("base64url");
}

function fits(key: KeyObject, algorithm: JwtAlgorithm): boolean {
  const { asymmetricKeyType, asymmetricKeyDetails: details } = key;
  switch (algorithm) {
    case "EdDSA":
      return asymmetricKeyType === "ed25519";
    case "ES256":
      return asymmetricKeyType === "ec" && details?.namedCurve === "prime256v1";
    case "RS256":
      return asymmetricKeyType === "rsa" && (details?.modulusLength ?? 0) >= rsaBitsMin;
  }
}
