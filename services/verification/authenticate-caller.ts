import type { Caller, Holder } from "../core/caller.ts";
import {
  classifyCredential,
  type PresentedImportedKey,
  type PresentedIssuedKey,
  type PresentedJwt,
  type PresentedMacaroon,
  parseIssuedKey,
} from "../core/credential.ts";
import type { DeferrableCode, Demand } from "../core/demand.ts";
import { IchorError } from "../core/errors.ts";
import type { Eventual } from "../core/eventual.ts";
import { idFromBytes, type TenantId } from "../core/ids.ts";
import { readJwt, unverifiedTenantId } from "../core/jwt/read-jwt.ts";
import { readMacaroonText } from "../core/macaroon/text.ts";
import { PerSecret } from "../core/per-secret.ts";
import { intersectScopes } from "../core/scopes.ts";
import { defaultTenantSlug, issuerOf, type Tenant } from "../core/tenant.ts";
import { clearToken } from "../core/token-clearance.ts";
import { authenticateKey, clearKey, effectiveScopes } from "../core/verification.ts";
import { decodeMacaroonIdentifier } from "../wire/macaroon-identifier.ts";
import { findPresentedKey } from "./records.ts";
import { type SeenKey, SeenKeys } from "./seen-keys.ts";
import type { VerificationDeps } from "./verify-presented.ts";
import { verifyToken } from "./verify-token.ts";

export interface CallerDeps extends VerificationDeps {
  /** Tenant `default`: the only one whose imported keys may call. */
  readonly defaultTenantId: TenantId;
}

/** Stands for the tenant of an unknown key, so that its refusal takes as long as any other. */
const noTenant = idFromBytes("ten", new Uint8Array(16));

/** What a method about the caller's own credential doesn't ask: what is derived from it carries these demands on. */
const leftToChild: ReadonlySet<DeferrableCode> = new Set<DeferrableCode>(["AUDIENCE_MISMATCH", "CONSTRAINT_NOT_MET"]);

/**
 * Gives the caller behind a bearer credential: an issued key of any tenant, which its id tells, a JWT whose sole
 * audience is the issuer, or an imported key of tenant `default`, since its text tells no tenant. For a method about the caller's own credential (`holder`), also one that isn't meant for
 * Ichor, and a macaroon: it then has no scopes here.
 * Throws CREDENTIAL_REFUSED for everything else, without saying which check failed.
 */
export function authenticateCaller(
  deps: CallerDeps,
): (bearerCredential: string, clientAddress: string, holder: boolean) => Eventual<Caller> {
  // Of its own: what is a caller's key and what a tenant verifies aren't decided alike.
  const seenKeys = new SeenKeys(deps.peppers, deps.records);
  const keyCaller = async (
    text: string,
    presented: PresentedIssuedKey | PresentedImportedKey,
    clientAddress: string,
    holder: boolean,
  ): Promise<Caller> => {
    const together = await deps.failures.turn(clientAddress);
    const authentic = await authenticKey(deps, presented, together);
    seenKeys.note(text, authentic);
    return clearedCaller(deps, authentic, clientAddress, holder);
  };
  const unseenCaller = async (bearerCredential: string, clientAddress: string, holder: boolean): Promise<Caller> => {
    const key = parseIssuedKey(bearerCredential);
    if (key !== undefined) return keyCaller(bearerCredential, key, clientAddress, holder);
    const jwt = readJwt(bearerCredential);
    if (jwt !== undefined) {
      await deps.failures.turn(clientAddress, "tenant");
      const tenant = await tenantOf(deps, unverifiedTenantId(jwt));
      return tokenCaller(deps, { kind: "JWT", unverifiedText: bearerCredential }, tenant, clientAddress, holder);
    }
    const macaroon = holder ? readMacaroonText(bearerCredential) : undefined;
    if (macaroon === undefined) {
      const home = await tenantOf(deps, deps.defaultTenantId);
      const presented = classifyCredential(bearerCredential, home.settings);
      if (presented.kind !== "IMPORTED_KEY") throw refused();
      return keyCaller(bearerCredential, presented, clientAddress, holder);
    }
    await deps.failures.turn(clientAddress, "tenant");
    const { prefix } = macaroon;
    const presented = { kind: "MACAROON", prefix, unverifiedText: bearerCredential.slice(prefix.length + 1) } as const;
    const tenant = await tenantOf(deps, decodeMacaroonIdentifier(macaroon.macaroon.identifier)?.tenantId);
    const { macaroonPrefix, retiredMacaroonPrefixes } = tenant.settings;
    if (prefix !== macaroonPrefix && !retiredMacaroonPrefixes.includes(prefix)) throw refused();
    return tokenCaller(deps, presented, tenant, clientAddress, holder);
  };
  return (bearerCredential, clientAddress, holder) => {
    const seen = seenKeys.find(bearerCredential);
    if (seen === undefined) {
      return unseenCaller(bearerCredential, clientAddress, holder).catch((error: unknown) => {
        if (error instanceof IchorError && error.reason === "CREDENTIAL_REFUSED") deps.failures.note(clientAddress);
        throw error;
      });
    }
    return clearedCaller(deps, seen, clientAddress, holder);
  };
}

async function authenticKey(
  deps: CallerDeps,
  presented: PresentedIssuedKey | PresentedImportedKey,
  together: boolean,
): Promise<SeenKey> {
  const { records, defaultTenantId, peppers } = deps;
  const { value: found } = await findPresentedKey(records, presented, defaultTenantId, peppers, false, together);
  const tenant = found && (await deps.records.tenant(found.tenantId, false)).value;
  const authentication = authenticateKey(presented, tenant && found, tenant?.id ?? noTenant, deps.peppers);
  if (!authentication.authentic || tenant === undefined) throw refused();
  const { key, version } = authentication;
  deps.rebindSecret(presented, key, version);
  return { tenant, key, version };
}

function clearedCaller(
  deps: VerificationDeps,
  { tenant, key, version }: SeenKey,
  clientAddress: string,
  holder: boolean,
): Caller {
  const demand = demandOnCaller(deps, tenant, clientAddress);
  const clears = (what: Demand) => clearKey({ key, version, tenant, demand: what, nowMs: deps.now() }) === "VALID";
  const forIchor = clears(demand);
  if (!forIchor && !(holder && clears({ ...demand, deferred: leftToChild }))) throw refused();
  const caller = () => {
    const scopes = forIchor ? effectiveScopes(key) : [];
    return { ...callerOf(tenant, scopes, key.kind, { key, version }, holder), secretVersion: version.number };
  };
  if (!forIchor) return caller();
  return (holder ? holders : callers).of(key, version, caller);
}

/** Keys as callers, and as callers of methods about the caller's own credential. Neither a key's tenant nor its slug changes. */
const callers = new PerSecret<Caller>();
const holders = new PerSecret<Caller>();

async function tokenCaller(
  deps: VerificationDeps,
  presented: PresentedJwt | PresentedMacaroon,
  tenant: Tenant,
  clientAddress: string,
  holder: boolean,
): Promise<Caller> {
  const demand = demandOnCaller(deps, tenant, clientAddress);
  const lenient: Demand = holder ? { ...demand, deferred: leftToChild } : demand;
  const { code, token, key } = await verifyToken(deps, presented, tenant, lenient, false);
  if (code !== "VALID" || token === undefined || key === undefined) throw refused();
  const { audiences, scopes } = token.grant;
  const meantForIssuer = presented.kind === "JWT" && audiences.length === 1 && audiences[0] === demand.audience;
  const forIchor = meantForIssuer && clearToken({ token, key, tenant, revoked: false, demand, nowMs: deps.now() });
  if (forIchor !== "VALID" && !holder) throw refused();
  const version = key.secretVersions.find(({ number }) => number === token.secretVersion);
  const macaroonText = presented.kind === "MACAROON" ? `${presented.prefix}_${presented.unverifiedText}` : undefined;
  return callerOf(
    tenant,
    forIchor === "VALID" ? intersectScopes(effectiveScopes(key), scopes) : [],
    presented.kind,
    { key, version, token, macaroonText },
    holder,
  );
}

/** What is known of a caller, once it is authentic and cleared. */
export function callerOf(
  tenant: Tenant,
  scopes: readonly string[],
  kind: Caller["kind"],
  presented: Holder,
  holder: boolean,
): Caller {
  const { rateLimits } = presented.key;
  return {
    keyId: presented.key.id,
    tenantId: tenant.id,
    inDefaultTenant: tenant.slug === defaultTenantSlug,
    scopes,
    kind,
    ...(rateLimits && { rateLimits }),
    ...(holder && { holder: presented }),
  };
}

/** What is asked of whoever calls Ichor itself, from an address; empty: unknown. */
export function demandOnCaller({ issuer }: VerificationDeps, tenant: Tenant, clientAddress: string): Demand {
  return {
    requiredScopes: [],
    audience: issuerOf(issuer(), tenant),
    clientIp: clientAddress || undefined,
    context: {},
  };
}

async function tenantOf({ records }: VerificationDeps, id: Tenant["id"] | undefined): Promise<Tenant> {
  const tenant = id && (await records.tenant(id, false)).value;
  if (!tenant) throw refused();
  return tenant;
}

/** The one refusal, whatever check failed. */
export function refused(): IchorError {
  return new IchorError("CREDENTIAL_REFUSED", "the credential is not valid");
}
