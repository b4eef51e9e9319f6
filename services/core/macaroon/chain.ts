import { createHmac, timingSafeEqual } from "node:crypto";
import { type ByteString, bytesOf, hmacSha256 } from "../hmac-sha256.ts";
import { type Macaroon, type RawCaveat, signatureBytes } from "./macaroon.ts";

/** The key of a macaroon's first HMAC. A secret: whoever holds it can mint. Kept per audience key, to save one HMAC a check. */
export type ChainRoot = ByteString & { readonly __chainRoot: true };

/** The key that libmacaroons makes the first key with, so that a root key may be of any length. */
const generatorKey = "macaroons-key-generator";

/** Makes the first key of the chain from a root key of any length, as libmacaroons and all its kin do. */
export function chainRootOf(rootKey: Uint8Array): ChainRoot {
  return createHmac("sha256", generatorKey).update(rootKey).digest("binary") as ChainRoot;
}

/**
 * Computes the signature: a chain of HMAC-SHA-256 over the identifier and each caveat, every result the key of the next
 * (Birgisson et al., section V-C). Secret until it is published as part of the macaroon.
 */
export function chainSignature(root: ChainRoot, macaroon: Pick<Macaroon, "identifier" | "caveats">): ByteString {
  let signature = hmacSha256(root, macaroon.identifier);
  for (const caveat of macaroon.caveats) signature = extendChain(signature, caveat);
  return signature;
}

/** The signature after one more caveat: all that a holder needs to narrow a macaroon. */
export function extendChain(signature: ByteString, caveat: RawCaveat): ByteString {
  if (caveat.verificationId === undefined) return hmacSha256(signature, caveat.id);
  const pair = hmacSha256(signature, caveat.verificationId) + hmacSha256(signature, caveat.id);
  return hmacSha256(signature, bytesOf(pair as ByteString));
}

const computed = Buffer.alloc(signatureBytes);

/**
 * Says whether the macaroon is authentic: made with this root key and not widened since. In constant time. It says
 * nothing about what the caveats allow, and covers neither the location nor that of a caveat.
 */
export function hasAuthenticSignature(root: ChainRoot, macaroon: Macaroon): boolean {
  const expected = chainSignature(root, macaroon);
  for (let i = 0; i < signatureBytes; i++) computed[i] = expected.charCodeAt(i);
  return timingSafeEqual(computed, macaroon.signature);
}
