import type { JsonObject } from "../api-key.ts";
import { isAudience } from "../audience.ts";
import {
  type DerivedToken,
  notAuthentic,
  type TokenAuthentication,
  type TokenGrant,
  tokenLifeSecondsMax,
} from "../derived-token.ts";
import { FieldViolations } from "../field-violations.ts";
import { type KeyId, parseId, type TenantId, type TokenId } from "../ids.ts";
import { isGrant } from "../scopes.ts";
import { type ConstraintsClaim, isObject, readConstraintsClaim, writeConstraintsClaim } from "./constraints-claim.ts";
import { reservedClaims } from "./reserved-claims.ts";

/** The claims of a derived JWT (RFC 9068 section 2.2); custom ones beside them. Times in seconds since the epoch. */
export interface JwtClaims {
  readonly iss: string;
  /** Owner id. */
  readonly sub: string;
  /** A text if there is only one audience (RFC 7519 section 4.1.3). */
  readonly aud: string | readonly string[];
  readonly exp: number;
  readonly iat: number;
  readonly nbf: number;
  readonly jti: TokenId;
  /** Key id. */
  readonly client_id: KeyId;
  /** Separated by a space each (RFC 8693 section 4.2); empty: no scope. */
  readonly scope: string;
  readonly tenant: TenantId;
  readonly epoch: number;
  readonly cst?: ConstraintsClaim;
}

/** Most bytes of all claims as JSON: with the longest header and RSA signature (4096 bits) they still fit into 8 KiB. */
export const claimsBytesMax = 5376;

export interface ClaimsOrder
  extends Pick<DerivedToken, "tenantId" | "keyId" | "tokenId" | "ownerId" | "tokenEpoch" | "issueTimeMs"> {
  readonly issuer: string;
  /** What the JWT shall allow, bounded by the parent key's. */
  readonly grant: TokenGrant;
  /** Checked by `checkCustomClaims`. */
  readonly customClaims?: JsonObject;
}

/**
 * Builds the claim set. Times are rounded to whole seconds towards the narrower side. Throws INVALID_FIELD if it is too
 * large for a token, TypeError for what no verifier would take or a caller should have refused: no audience, more than
 * 24 h, a reserved custom claim.
 */
export function buildClaims(order: ClaimsOrder): JwtClaims {
  const { grant, customClaims = {} } = order;
  const iat = Math.floor(order.issueTimeMs / 1000);
  const exp = Math.floor(grant.expireTimeMs / 1000);
  const [audience] = grant.audiences;
  const cst = writeConstraintsClaim(grant);
  if (audience === undefined) throw new TypeError("a token has an audience");
  if (exp - iat > tokenLifeSecondsMax) throw new TypeError("a token lives at most 24 h");
  if (Object.keys(customClaims).some((name) => reservedClaims.has(name)))
    throw new TypeError("a custom claim is reserved");
  const claims: JwtClaims = {
    iss: order.issuer,
    sub: order.ownerId,
    aud: grant.audiences.length === 1 ? audience : grant.audiences,
    exp,
    iat,
    nbf: Math.max(iat, Math.ceil((grant.notBeforeMs ?? 0) / 1000)),
    jti: order.tokenId,
    client_id: order.keyId,
    scope: grant.scopes.join(" "),
    tenant: order.tenantId,
    epoch: order.tokenEpoch,
    ...(cst && { cst }),
    ...customClaims,
  };
  requireFits(claims);
  return claims;
}

function requireFits(claims: JwtClaims): void {
  const violations = new FieldViolations();
  const bytes = Buffer.byteLength(JSON.stringify(claims));
  violations.require(bytes <= claimsBytesMax, "scopes", "must fit, with all other claims, into a token of 8 KiB");
  violations.throwIfAny();
}

/**
 * Gives the token that claims with a right signature say. SIGNATURE_INVALID: another issuer's (RFC 9068 section 4).
 * MALFORMED: a claim that ours always have is missing or of another form, or the life is over 24 h.
 *
 * @param constrained whether the header says that there are constraints: exactly then the claim `cst` must be there
 */
export function readClaims(claims: unknown, issuer: string, constrained: boolean): TokenAuthentication {
  if (!isObject(claims)) return notAuthentic("MALFORMED");
  if (claims.iss !== issuer) return notAuthentic("SIGNATURE_INVALID");
  const token = tokenOf(claims, constrained);
  return token === undefined ? notAuthentic("MALFORMED") : { authentic: true, token };
}

function tokenOf(claims: Readonly<Record<string, unknown>>, constrained: boolean): DerivedToken | undefined {
  const { sub, iat, epoch } = claims;
  const tenantId = idClaim("ten", claims.tenant);
  const keyId = idClaim("key", claims.client_id);
  const tokenId = idClaim("tok", claims.jti);
  const grant = grantOf(claims, constrained);
  if (tenantId === undefined || keyId === undefined || tokenId === undefined || grant === undefined) return undefined;
  if (typeof sub !== "string" || !isCount(iat) || !isCount(epoch)) return undefined;
  if (grant.expireTimeMs > (iat + tokenLifeSecondsMax) * 1000) return undefined;
  return { kind: "JWT", tenantId, keyId, tokenId, ownerId: sub, tokenEpoch: epoch, issueTimeMs: iat * 1000, grant };
}

function grantOf(claims: Readonly<Record<string, unknown>>, constrained: boolean): TokenGrant | undefined {
  const { exp, nbf, iat, scope, cst } = claims;
  const audiences = readAudiences(claims.aud);
  const scopes = readScopes(scope);
  const constraints = constrained ? readConstraintsClaim(cst) : cst === undefined ? {} : undefined;
  if (audiences === undefined || scopes === undefined || constraints === undefined) return undefined;
  if (!isCount(exp) || !isCount(nbf) || !isCount(iat)) return undefined;
  return { expireTimeMs: exp * 1000, notBeforeMs: Math.max(nbf, iat) * 1000, scopes, audiences, ...constraints };
}

function readAudiences(aud: unknown): readonly string[] | undefined {
  const audiences: readonly unknown[] = Array.isArray(aud) ? aud : [aud];
  const valid =
    audiences.length > 0 && audiences.every((audience) => typeof audience === "string" && isAudience(audience));
  return valid ? (audiences as readonly string[]) : undefined;
}

function readScopes(scope: unknown): readonly string[] | undefined {
  if (typeof scope !== "string") return undefined;
  const scopes = scope === "" ? [] : scope.split(" ");
  return scopes.every(isGrant) ? scopes : undefined;
}

function idClaim<P extends "ten" | "key" | "tok">(prefix: P, value: unknown) {
  return typeof value === "string" ? parseId(prefix, value) : undefined;
}

/** Whole seconds or a counter; bounded so that ms stay exact. */
function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0 && (value as number) < 10 ** 12;
}
