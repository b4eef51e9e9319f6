import type { Constraints } from "../constraints.ts";
import { notAuthentic, type TokenAuthentication, type TokenGrant, tokenLifeSecondsMax } from "../derived-token.ts";
import { intersect } from "../narrower.ts";
import { readCaveat } from "./caveat.ts";
import { type ChainRoot, hasAuthenticSignature } from "./chain.ts";
import type { MacaroonIdentifier } from "./identifier.ts";
import type { Macaroon } from "./macaroon.ts";

/**
 * The first step for a macaroon: is it authentic, and what does it allow? Its caveats are read only once the signature
 * is known to be right.
 *
 * SIGNATURE_INVALID: wrong signature, no such audience key, or another issuer's (the location, which no signature
 * covers, must be exactly `issuer`). UNSUPPORTED_CAVEAT: one for a third party or in no form that we know. MALFORMED:
 * all caveats are known, but an `exp`, `scope` or `aud` is missing, or the least `exp` is more than 24 h after the issue.
 *
 * @param identifier what `macaroon.identifier` decodes to
 * @param root of the audience key that the identifier names; undefined if there is none
 */
export function authenticateMacaroon(
  macaroon: Macaroon,
  identifier: MacaroonIdentifier,
  root: ChainRoot | undefined,
  issuer: string,
): TokenAuthentication {
  if (root === undefined || macaroon.location !== issuer || !hasAuthenticSignature(root, macaroon)) {
    return notAuthentic("SIGNATURE_INVALID");
  }
  const said = foldCaveats(macaroon);
  if (said === undefined) return notAuthentic("UNSUPPORTED_CAVEAT");
  if (!isTokenGrant(said, identifier.issueTimeSeconds)) return notAuthentic("MALFORMED");
  const { tenantId, keyId, tokenId, ownerId, tokenEpoch, secretVersion, audience } = identifier;
  const issueTimeMs = identifier.issueTimeSeconds * 1000;
  const grant = intersect(said, { audiences: [audience], notBeforeMs: issueTimeMs }) as TokenGrant;
  return {
    authentic: true,
    token: { kind: "MACAROON", tenantId, keyId, tokenId, ownerId, tokenEpoch, issueTimeMs, secretVersion, grant },
  };
}

/** What the caveats allow together; undefined if one of them isn't known. */
function foldCaveats(macaroon: Macaroon): Constraints | undefined {
  let all: Constraints = {};
  for (const caveat of macaroon.caveats) {
    const one = caveat.verificationId === undefined ? readCaveat(caveat.id) : undefined;
    if (one === undefined) return undefined;
    all = intersect(all, one);
  }
  return all;
}

function isTokenGrant(said: Constraints, issueTimeSeconds: number): said is TokenGrant {
  if (said.expireTimeMs === undefined || said.scopes === undefined || said.audiences === undefined) return false;
  return said.expireTimeMs <= (issueTimeSeconds + tokenLifeSecondsMax) * 1000;
}
