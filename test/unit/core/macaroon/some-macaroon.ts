import type { Constraints } from "../../../../services/core/constraints.ts";
import type { Demand } from "../../../../services/core/demand.ts";
import { type TokenAuthentication, tokenFailure } from "../../../../services/core/derived-token.ts";
import { bytesOf } from "../../../../services/core/hmac-sha256.ts";
import { newId } from "../../../../services/core/ids.ts";
import { audienceKey } from "../../../../services/core/macaroon/audience-key.ts";
import { authenticateMacaroon } from "../../../../services/core/macaroon/authenticate.ts";
import { chainRootOf, chainSignature } from "../../../../services/core/macaroon/chain.ts";
import { writeMacaroonV2 } from "../../../../services/core/macaroon/codec-v2.ts";
import type { MacaroonIdentifier } from "../../../../services/core/macaroon/identifier.ts";
import type { Macaroon } from "../../../../services/core/macaroon/macaroon.ts";
import { mintMacaroon } from "../../../../services/core/macaroon/mint.ts";
import { formatMacaroonText, readMacaroonText } from "../../../../services/core/macaroon/text.ts";
import { decodeMacaroonIdentifier, encodeMacaroonIdentifier } from "../../../../services/wire/macaroon-identifier.ts";
import { madeMs, someKeyId, someTenantId } from "../some-key.ts";

export const someIssuer = "https://keys.example";
export const someAudience = "https://api.example";
export const someTokenId = newId("tok", madeMs, new Uint8Array(10).fill(9));
export const madeSeconds = madeMs / 1000;

export const someAudienceKey = audienceKey(new Uint8Array(32).fill(7), someTenantId, someAudience, 1);
export const someRoot = chainRootOf(someAudienceKey);

export const someIdentifier: MacaroonIdentifier = {
  tenantId: someTenantId,
  keyId: someKeyId,
  tokenId: someTokenId,
  tokenEpoch: 3,
  ownerId: "acme",
  secretVersion: 2,
  masterId: "mm-1",
  audience: someAudience,
  generation: 1,
  issueTimeSeconds: madeSeconds,
};

export const someGrant = { expireTimeMs: madeMs + 900_000, scopes: ["a:*"], audiences: [someAudience] };

/** A macaroon for `a:*` at `someAudience`, for 15 minutes. */
export function someMacaroon(constraints: Constraints = {}): string {
  return mintMacaroon({
    prefix: "ichor_mc",
    issuer: someIssuer,
    identifier: encodeMacaroonIdentifier(someIdentifier),
    issueTimeSeconds: madeSeconds,
    grant: { ...someGrant, ...constraints },
    root: someRoot,
  });
}

/** A macaroon with exactly these caveats, right signature, as who holds an audience key could make it. */
export function macaroonWith(caveats: readonly (string | Uint8Array)[], changes: Partial<Macaroon> = {}): string {
  const parts = {
    location: someIssuer,
    identifier: encodeMacaroonIdentifier(someIdentifier),
    caveats: caveats.map((caveat) => ({ id: Buffer.from(caveat) })),
    ...changes,
  };
  const signature = bytesOf(chainSignature(someRoot, parts));
  return formatMacaroonText("ichor_mc", writeMacaroonV2({ signature, ...parts }));
}

/** Both steps before the demand is looked at; MALFORMED for what isn't a macaroon. */
export function authenticate(text: string, root = someRoot, issuer = someIssuer): TokenAuthentication {
  const macaroon = readMacaroonText(text)?.macaroon;
  const identifier = macaroon && decodeMacaroonIdentifier(macaroon.identifier);
  if (!macaroon || !identifier) return { authentic: false, code: "MALFORMED" };
  return authenticateMacaroon(macaroon, identifier, root, issuer);
}

export function someDemand(changes: Partial<Demand> = {}): Demand {
  return { requiredScopes: ["a:b"], audience: someAudience, clientIp: "192.0.2.7", context: {}, ...changes };
}

/** The code of a whole verification, revocation apart. */
export function codeOf(text: string, demand: Partial<Demand> = {}, nowMs = madeMs + 1000, leewaySeconds = 0): string {
  const authentication = authenticate(text);
  if (!authentication.authentic) return authentication.code;
  return tokenFailure(authentication.token, someDemand(demand), nowMs, leewaySeconds) ?? "VALID";
}
