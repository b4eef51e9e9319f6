import type { MessageInitShape, MessageShape } from "@bufbuild/protobuf";
import type {
  DerivationService,
  DeriveTokenRequestSchema,
  DeriveTokenResponseSchema,
} from "../../gen/ichor/v1/derivation_service_pb.ts";
import { requireScope } from "../core/access.ts";
import type { JsonObject, TokenFormat } from "../core/api-key.ts";
import type { Constraints } from "../core/constraints.ts";
import { deriveGrant } from "../core/derive-grant.ts";
import { derivePolicyOf, permittedTtlSeconds } from "../core/derive-policy.ts";
import { IchorError } from "../core/errors.ts";
import { FieldViolations } from "../core/field-violations.ts";
import { checkCustomClaims } from "../core/jwt/custom-claims.ts";
import { intersect } from "../core/narrower.ts";
import { mustCount } from "../core/rate-limit.ts";
import { issuerOf } from "../core/tenant.ts";
import { keyBounds } from "../core/verification.ts";
import type { Call, Unary } from "../rpc/call.ts";
import { tokenFormatFromProto, tokenFormatToProto } from "../wire/derive-policy.ts";
import { audiencesMax, checkGrants, parseConstraints } from "../wire/request-fields.ts";
import { fromDuration, toTimestamp } from "../wire/time.ts";
import type { DerivationDeps } from "./deps.ts";
import { makeToken } from "./make-token.ts";
import { type Parent, parentOf } from "./parent.ts";

type Request = MessageShape<typeof DeriveTokenRequestSchema>;
type Response = MessageInitShape<typeof DeriveTokenResponseSchema>;

/** What a request asks for, as far as it can be said without the parent. */
interface TokenDraft {
  readonly format: TokenFormat;
  readonly audiences: readonly string[];
  readonly scopes: readonly string[] | undefined;
  readonly ttlSeconds: number | undefined;
  readonly constraints: Constraints;
  readonly customClaims: JsonObject;
}

/** DeriveToken: a narrower, shorter-lived child of a key or a macaroon. Nothing is stored. */
export function deriveToken(deps: DerivationDeps): Unary<typeof DerivationService.method.deriveToken> {
  return async (request, call) => {
    const draft = parseDraft(request);
    if (request.credential !== "") requireScope(call.caller, "ichor:tokens:derive");
    return derive(deps, draft, await parentOf(deps, request.credential, call), call);
  };
}

function parseDraft(request: Request): TokenDraft {
  const violations = new FieldViolations();
  const format = tokenFormatFromProto(request.format);
  violations.require(format !== undefined, "format", "must be JWT or MACAROON");
  const audiences = [...new Set(request.audiences)];
  violations.require(
    audiences.length >= 1 && audiences.length <= audiencesMax,
    "audiences",
    `must name 1 to ${audiencesMax} audiences`,
  );
  const one = format !== "MACAROON" || audiences.length <= 1;
  violations.require(one, "audiences", "must be exactly one for a macaroon");
  checkGrants(violations, "scopes", request.scopes);
  const constraints = parseConstraints(violations, request.constraints);
  const ttlMs = request.ttl && (fromDuration(request.ttl) ?? Number.NaN);
  const whole = ttlMs === undefined || ttlMs % 1000 === 0;
  violations.require(whole, "ttl", "must be a span in whole seconds");
  const customClaims = request.customClaims ?? {};
  const claimable = format !== "MACAROON" || Object.keys(customClaims).length === 0;
  violations.require(claimable, "custom_claims", "can't be in a macaroon");
  violations.throwIfAny();
  return {
    format: format ?? "JWT",
    audiences,
    scopes: request.scopes.length === 0 ? undefined : [...new Set(request.scopes)],
    ttlSeconds: ttlMs === undefined ? undefined : ttlMs / 1000,
    constraints,
    customClaims,
  };
}

async function derive(deps: DerivationDeps, draft: TokenDraft, parent: Parent, call: Call): Promise<Response> {
  const { key, version, token } = parent;
  const { value: tenant } = await deps.records.tenant(call.tenantId, false);
  if (tenant === undefined) throw new IchorError("TENANT_NOT_FOUND", "no such tenant");
  if (token !== undefined && draft.format !== "MACAROON")
    throw new IchorError("DERIVATION_NOT_ALLOWED", "a macaroon's child is a macaroon");
  const policy = derivePolicyOf(key);
  const ttlSeconds = permittedTtlSeconds(policy, draft, tenant.settings);
  checkClaims(draft.customClaims, parent.named ? "any" : policy.customClaims);
  const bounds = keyBounds(key, version);
  const parentGrant =
    token === undefined ? bounds : { ...intersect(bounds, token.grant), scopes: scopesOf(bounds, token) };
  const issuer = issuerOf(deps.issuer(), tenant);
  if (mustCount(key.rateLimits) && !isForIssuer(draft, issuer))
    throw new IchorError("DERIVATION_NOT_ALLOWED", "the key has a strict rate limit, which others wouldn't count");
  const nowMs = deps.now();
  const { scopes, audiences, constraints } = draft;
  const demand = { audiences, ttlSeconds, constraints, ...(scopes && { scopes }) };
  const grant = deriveGrant(parentGrant, demand, issuer, nowMs);
  const { customClaims } = draft;
  const made = await makeToken(deps, { format: draft.format, tenant, issuer, parent, grant, customClaims, nowMs });
  deps.countDerived(draft.format);
  deps.noteDerived(tenant.id, key.id, made.tokenId);
  return {
    ...made,
    format: tokenFormatToProto[draft.format],
    expireTime: toTimestamp(grant.expireTimeMs),
    scopes: [...grant.scopes],
  };
}

function isForIssuer({ audiences }: TokenDraft, issuer: string): boolean {
  return audiences.length === 1 && audiences[0] === issuer;
}

function scopesOf(bounds: Constraints, token: { readonly grant: Constraints }): readonly string[] {
  return intersect({ scopes: bounds.scopes ?? [] }, { scopes: token.grant.scopes ?? [] }).scopes ?? [];
}

function checkClaims(customClaims: JsonObject, allowedNames: readonly string[] | "any"): void {
  const violations = new FieldViolations();
  checkCustomClaims(violations, customClaims, allowedNames);
  violations.throwIfAny();
}
