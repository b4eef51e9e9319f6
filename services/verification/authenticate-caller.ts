import type { Caller } from "../core/caller.ts";
import { parseIssuedKey } from "../core/credential.ts";
import { IchorError } from "../core/errors.ts";
import { idFromBytes } from "../core/ids.ts";
import { defaultTenantSlug } from "../core/tenant.ts";
import { authenticateKey, clearKey, effectiveScopes } from "../core/verification.ts";
import type { VerificationDeps } from "./verify-presented.ts";

export interface CallerDeps extends VerificationDeps {
  /** Base URL of the issuer: the audience that a caller's key must allow. */
  readonly issuer: () => string;
}

/** Stands for the tenant of an unknown key, so that its refusal takes as long as any other. */
const noTenant = idFromBytes("ten", new Uint8Array(16));

/**
 * Gives the caller behind a bearer credential: an issued key of any tenant, which its id tells.
 * Throws CREDENTIAL_REFUSED for everything else, without saying which check failed.
 */
export function authenticateCaller(
  deps: CallerDeps,
): (bearerCredential: string, clientAddress: string) => Promise<Caller> {
  return async (bearerCredential, clientAddress) => {
    const presented = parseIssuedKey(bearerCredential);
    const found = presented && (await deps.records.key(presented.keyId, false)).value;
    const tenant = found && (await deps.records.tenant(found.tenantId, false)).value;
    if (presented === undefined) throw refused();
    const authentication = authenticateKey(presented, tenant && found, tenant?.id ?? noTenant, deps.peppers);
    if (!authentication.authentic || tenant === undefined) throw refused();
    const { key, version } = authentication;
    deps.rebindSecret(presented, key, version);
    const demand = { requiredScopes: [], audience: deps.issuer(), clientIp: clientAddress || undefined, context: {} };
    if (clearKey({ key, version, tenant, demand, nowMs: deps.now() }) !== "VALID") throw refused();
    return {
      keyId: key.id,
      tenantId: tenant.id,
      inDefaultTenant: tenant.slug === defaultTenantSlug,
      scopes: effectiveScopes(key),
    };
  };
}

function refused(): IchorError {
  return new IchorError("CREDENTIAL_REFUSED", "the credential is not valid");
}
