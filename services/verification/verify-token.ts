import type { ApiKey } from "../core/api-key.ts";
import type { PresentedJwt, PresentedMacaroon } from "../core/credential.ts";
import type { Demand } from "../core/demand.ts";
import { type DerivedToken, notAuthentic, type TokenAuthentication } from "../core/derived-token.ts";
import { authenticateJwt } from "../core/jwt/authenticate.ts";
import { readJwt } from "../core/jwt/read-jwt.ts";
import { authenticateMacaroon } from "../core/macaroon/authenticate.ts";
import { readMacaroonText } from "../core/macaroon/text.ts";
import { issuerOf, type Tenant } from "../core/tenant.ts";
import { clearToken } from "../core/token-clearance.ts";
import type { VerificationCode } from "../core/verification-code.ts";
import type { Keyring } from "../keyring/keyring.ts";
import { decodeMacaroonIdentifier } from "../wire/macaroon-identifier.ts";
import type { KeyRecords } from "./records.ts";

export interface TokenDeps {
  readonly records: KeyRecords;
  readonly keyring: Pick<Keyring, "forTenant" | "isTokenRevoked">;
  /** Base URL of the issuer. */
  readonly issuer: () => string;
  /** Ms since the epoch. */
  readonly now: () => number;
}

/** What the verification of a derived token found. */
export interface TokenVerification {
  readonly code: VerificationCode;
  /** Set if the token is authentic, whatever the code. */
  readonly token?: DerivedToken;
  /** The key that it was derived from, if that is there. */
  readonly key?: ApiKey | undefined;
  /** Age of what was looked up, in ms. */
  readonly ageMs: number;
}

/** Verifies a derived token of a tenant: authentic first, then cleared for the demand. */
export async function verifyToken(
  deps: TokenDeps,
  presented: PresentedJwt | PresentedMacaroon,
  tenant: Tenant,
  demand: Demand,
  noCache: boolean,
): Promise<TokenVerification> {
  const authentication = await authenticateToken(deps, presented, tenant, noCache);
  if (!authentication.authentic) return { code: authentication.code, ageMs: 0 };
  const { token } = authentication;
  const [{ value: key, ageMs }, revoked] = await Promise.all([
    deps.records.key(token.keyId, noCache),
    deps.keyring.isTokenRevoked(token, noCache),
  ]);
  const code = clearToken({ token, key, tenant, revoked, demand, nowMs: deps.now() });
  return { code, token, key, ageMs };
}

async function authenticateToken(
  { keyring, issuer, now }: TokenDeps,
  presented: PresentedJwt | PresentedMacaroon,
  tenant: Tenant,
  noCache: boolean,
): Promise<TokenAuthentication> {
  const issuerName = issuerOf(issuer(), tenant);
  if (presented.kind === "JWT") {
    const jwt = readJwt(presented.unverifiedText);
    if (jwt === undefined) return notAuthentic("MALFORMED");
    const keys = await keyring.forTenant(tenant.id, noCache);
    return ofTenant(await authenticateJwt(jwt, keys.verificationKey(jwt.unverifiedHeader.kid), issuerName), tenant);
  }
  const read = readMacaroonText(`${presented.prefix}_${presented.unverifiedText}`);
  const identifier = read?.prefix === presented.prefix ? decodeMacaroonIdentifier(read.macaroon.identifier) : undefined;
  if (read === undefined || identifier === undefined) return notAuthentic("MALFORMED");
  if (identifier.tenantId !== tenant.id) return notAuthentic("SIGNATURE_INVALID");
  const { masterId, audience, generation } = identifier;
  const keys = await keyring.forTenant(tenant.id, noCache);
  const root = keys.audienceRoot(masterId, audience, generation, now());
  return authenticateMacaroon(read.macaroon, identifier, root, issuerName);
}

/** The issuer's name says so already; the claim must agree. */
function ofTenant(authentication: TokenAuthentication, tenant: Tenant): TokenAuthentication {
  const agrees = !authentication.authentic || authentication.token.tenantId === tenant.id;
  return agrees ? authentication : notAuthentic("SIGNATURE_INVALID");
}
