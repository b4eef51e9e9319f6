import { type Caller, isTokenCaller } from "./caller.ts";
import { IchorError } from "./errors.ts";
import { parseId, type TenantId } from "./ids.ts";
import { coversAll, isReserved, reservedScopesNotCovered } from "./scopes.ts";
import { isTenantSlug } from "./tenant.ts";

const systemScope = "ichor:system";
const tenantScopes = "ichor:tenants:";

/**
 * Throws SCOPE_MISSING, with the scope as metadata, unless the caller holds the reserved scope that a method needs.
 * `ichor:system` and `ichor:tenants:…` reach beyond a tenant: they count only for callers in tenant `default` that hold
 * `ichor:system`, whatever scopes another tenant gave to its keys.
 */
export function requireScope(caller: Caller, scope: string): void {
  if (!coversAll(caller.scopes, [scope])) throw scopeMissing(scope);
  const beyondTenant = scope === systemScope || scope.startsWith(tenantScopes);
  if (beyondTenant && !mayLeaveTenant(caller)) throw scopeMissing(systemScope);
}

/** The tenant that a call acts in: a known id, or a name to look up. */
export type ActingTenant =
  | { readonly by: "id"; readonly tenantId: TenantId }
  | { readonly by: "slug"; readonly slug: string };

/**
 * Says which tenant a call acts in. `ichorTenant` is the header `Ichor-Tenant` (id or slug), undefined if it wasn't sent.
 * Throws TENANT_NOT_ALLOWED if it was sent by anyone but a caller in tenant `default` that holds `ichor:system`, even if
 * it names the caller's own tenant: decided before any look-up, so that the answer tells nothing about which exist.
 * Throws TENANT_NOT_FOUND if it can't name a tenant.
 */
export function actingTenant(caller: Caller, ichorTenant: string | undefined): ActingTenant {
  if (ichorTenant === undefined) return { by: "id", tenantId: caller.tenantId };
  if (!mayLeaveTenant(caller)) {
    throw new IchorError("TENANT_NOT_ALLOWED", "the caller may not act on another tenant");
  }
  const tenantId = parseId("ten", ichorTenant);
  if (tenantId) return { by: "id", tenantId };
  if (isTenantSlug(ichorTenant)) return { by: "slug", slug: ichorTenant };
  throw new IchorError("TENANT_NOT_FOUND", "no such tenant");
}

/**
 * Throws RESERVED_SCOPE_NOT_COVERED, with the first such scope as metadata, unless the caller covers every reserved
 * scope in the lists: those that a key has and those that it would get.
 */
export function requireCoversReserved(caller: Caller, ...keyScopes: readonly (readonly string[])[]): void {
  const [scope] = keyScopes.flatMap((scopes) => reservedScopesNotCovered(caller.scopes, scopes));
  if (scope === undefined) return;
  throw new IchorError("RESERVED_SCOPE_NOT_COVERED", "the key has a reserved scope that the caller doesn't cover", {
    metadata: { scope },
  });
}

/**
 * For what shows a credential: throws RESERVED_SCOPE_NOT_COVERED as `requireCoversReserved` does, and for every key with
 * a reserved scope if the caller presented a token: what ends in minutes must not get what lasts.
 */
export function requireMayShowSecret(caller: Caller, keyScopes: readonly string[]): void {
  requireCoversReserved(caller, keyScopes);
  const scope = isTokenCaller(caller) ? keyScopes.find(isReserved) : undefined;
  if (scope === undefined) return;
  throw new IchorError("RESERVED_SCOPE_NOT_COVERED", "a derived token gets no credential with a reserved scope", {
    metadata: { scope },
  });
}

function mayLeaveTenant(caller: Caller): boolean {
  return caller.inDefaultTenant && coversAll(caller.scopes, [systemScope]);
}

function scopeMissing(scope: string): IchorError {
  return new IchorError("SCOPE_MISSING", "the caller lacks a scope", { metadata: { scope } });
}
