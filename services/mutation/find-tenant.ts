import { IchorError } from "../core/errors.ts";
import { parseId } from "../core/ids.ts";
import type { Tenant } from "../core/tenant.ts";
import type { StoreReads } from "../store/port.ts";

/** Gives the tenant of this id or slug. Throws TENANT_NOT_FOUND. */
export async function findTenant(
  reads: Pick<StoreReads, "getTenant" | "getTenantBySlug">,
  idOrSlug: string,
): Promise<Tenant> {
  const id = parseId("ten", idOrSlug);
  const tenant = id === undefined ? await reads.getTenantBySlug(idOrSlug) : await reads.getTenant(id);
  if (tenant === undefined) throw new IchorError("TENANT_NOT_FOUND", "no such tenant");
  return tenant;
}
