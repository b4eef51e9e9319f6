import { type ConstraintCode, type Constraints, constraintFailure } from "./constraints.ts";
import type { Demand } from "./demand.ts";
import type { KeyId, TenantId, TokenId } from "./ids.ts";

/** The longest life of any derived token, from issue to end: what bounds how long a revocation must be remembered. */
export const tokenLifeSecondsMax = 86_400;

/** The most that a verifier may allow for its clock being off (RFC 8725, RFC 7519 section 4.1.4: "a few minutes" is too many). */
export const leewaySecondsMax = 60;

/** What a derived token allows: always bounded in time, scopes and audience. */
export type TokenGrant = Constraints & Required<Pick<Constraints, "expireTimeMs" | "scopes" | "audiences">>;

/** An authentic JWT or macaroon. Whether it was revoked, and allows a request, are further questions. */
export interface DerivedToken {
  readonly kind: "JWT" | "MACAROON";
  readonly tenantId: TenantId;
  /** The key that it was derived from. */
  readonly keyId: KeyId;
  readonly tokenId: TokenId;
  /** Who or what the key belongs to. */
  readonly ownerId: string;
  /** Dead once the key's epoch is higher. */
  readonly tokenEpoch: number;
  /** ms since the epoch, whole seconds. */
  readonly issueTimeMs: number;
  /** Which secret of the key it was derived with; only macaroons tell. */
  readonly secretVersion?: number;
  /** Everything that bounds it, its time of issue as `notBeforeMs` included. */
  readonly grant: TokenGrant;
}

/** What the first step says of a token: whose it is, or the code for what is wrong with it. */
export type TokenAuthentication =
  | { readonly authentic: true; readonly token: DerivedToken }
  | { readonly authentic: false; readonly code: "MALFORMED" | "SIGNATURE_INVALID" | "UNSUPPORTED_CAVEAT" };

/** The answer to a token that is not one: for the first step's functions. */
export function notAuthentic(code: "MALFORMED" | "SIGNATURE_INVALID" | "UNSUPPORTED_CAVEAT"): TokenAuthentication {
  return { authentic: false, code };
}

/**
 * The second step: gives the first reason why an authentic token doesn't allow a request at `nowMs`; undefined if it
 * allows it. The leeway is given to both ends of the token's time, and to nothing else. A token issued in the future is
 * NOT_YET_VALID. Revocation is asked before.
 *
 * @param leewaySeconds 0–60; throws TypeError beyond
 */
export function tokenFailure(
  token: DerivedToken,
  demand: Demand,
  nowMs: number,
  leewaySeconds: number,
): ConstraintCode | undefined {
  if (!(leewaySeconds >= 0 && leewaySeconds <= leewaySecondsMax)) throw new TypeError("leeway out of range");
  return constraintFailure(token.grant, demand, nowMs, leewaySeconds * 1000);
}
