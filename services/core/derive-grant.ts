import { isAudience } from "./audience.ts";
import type { Constraints } from "./constraints.ts";
import type { TokenGrant } from "./derived-token.ts";
import { FieldViolations } from "./field-violations.ts";
import { allowsNothing, intersect, widerFields } from "./narrower.ts";
import { isReserved } from "./scopes.ts";

/** What a derived token is wanted to allow. */
export interface DeriveDemand {
  /** At least one. */
  readonly audiences: readonly string[];
  /** Absent: all of the parent's but reserved ones. */
  readonly scopes?: readonly string[];
  /** Life in seconds, already bounded by the policy that applies. */
  readonly ttlSeconds: number;
  /** What narrows it further. */
  readonly constraints: Constraints;
}

/**
 * Gives what a token derived from a parent allows: what the parent and the demand both do, never more (law 2), in whole
 * seconds. Its end is silently brought forward to the parent's; everything else that the parent doesn't allow is
 * refused, so that nobody gets a token that does less than it says. Throws INVALID_FIELD with the fields of
 * DeriveTokenRequest.
 *
 * @param parent all that bounds the parent: `intersect` of a key's own fields and its constraints
 * @param issuer the tenant's issuer: a reserved scope is of use only there, and is given only for that sole audience
 */
export function deriveGrant(
  parent: Constraints & Required<Pick<Constraints, "scopes">>,
  demand: DeriveDemand,
  issuer: string,
  nowMs: number,
): TokenGrant {
  const { audiences, constraints, ttlSeconds } = demand;
  const scopes = demand.scopes ?? parent.scopes.filter((scope) => !isReserved(scope));
  const violations = new FieldViolations();
  violations.require(audiences.length > 0, "audiences", "must name an audience");
  audiences.forEach((audience, i) => {
    const field = `audiences[${i}]`;
    if (!violations.require(isAudience(audience), field, "is not an audience")) return;
    violations.require(
      !isWider({ audiences: [audience] }, parent, "audiences"),
      field,
      "is not one that the parent allows",
    );
  });
  const forIssuer = audiences.length === 1 && audiences[0] === issuer;
  scopes.forEach((scope, i) => {
    const field = `scopes[${i}]`;
    violations.require(!isWider({ scopes: [scope] }, parent, "scopes"), field, "is not covered by the parent's scopes");
    violations.require(forIssuer || !isReserved(scope), field, "is reserved: the issuer must be the sole audience");
  });
  violations.throwIfAny();
  const issueTimeMs = Math.floor(nowMs / 1000) * 1000;
  const wanted = { audiences, scopes, expireTimeMs: issueTimeMs + ttlSeconds * 1000, notBeforeMs: issueTimeMs };
  const grant = wholeSeconds(intersect(parent, intersect(wanted, constraints)));
  violations.require(
    !allowsNothing(grant),
    "constraints",
    "leave nothing, together with the parent's, that is allowed",
  );
  violations.throwIfAny();
  return grant as TokenGrant;
}

function isWider(child: Constraints, parent: Constraints, field: keyof Constraints): boolean {
  return widerFields(child, parent).includes(field);
}

function wholeSeconds(grant: Constraints): Constraints {
  const { expireTimeMs = 0, notBeforeMs = 0 } = grant;
  return {
    ...grant,
    expireTimeMs: Math.floor(expireTimeMs / 1000) * 1000,
    notBeforeMs: Math.ceil(notBeforeMs / 1000) * 1000,
  };
}
