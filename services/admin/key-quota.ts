import { IchorError } from "../core/errors.ts";
import type { TenantId } from "../core/ids.ts";
import type { Tenant } from "../core/tenant.ts";
import type { StoreReads } from "../store/port.ts";

/** The tenant that keys are to be made in. Throws TENANT_NOT_FOUND, TENANT_DISABLED. */
export async function openTenant(store: Pick<StoreReads, "getTenant">, tenantId: TenantId): Promise<Tenant> {
  const tenant = await store.getTenant(tenantId);
  if (tenant === undefined) throw new IchorError("TENANT_NOT_FOUND", "no such tenant");
  if (tenant.state === "DISABLED") throw new IchorError("TENANT_DISABLED", "the tenant is disabled");
  return tenant;
}

/** Throws QUOTA_EXCEEDED if the tenant, or the owner, may have no further key. */
export async function requireQuota(store: CountsKeys, tenant: Tenant, ownerId: string): Promise<void> {
  await new KeyQuota(store, tenant).take(ownerId);
}

type CountsKeys = Pick<StoreReads, "countKeys" | "countKeysOfOwner">;

/** What quotas leave while one transaction makes keys: counts are asked for once, and only where there is a quota. */
export class KeyQuota {
  readonly #store: CountsKeys;
  readonly #tenant: Tenant;
  #ofTenant: number | undefined;
  readonly #ofOwner = new Map<string, number>();

  constructor(store: CountsKeys, tenant: Tenant) {
    this.#store = store;
    this.#tenant = tenant;
  }

  /** Counts one further key. Throws QUOTA_EXCEEDED if there may be none. */
  async take(ownerId: string): Promise<void> {
    const { id, settings } = this.#tenant;
    const { keysMax, keysPerOwnerMax } = settings;
    const ofTenant = keysMax === undefined ? 0 : (this.#ofTenant ?? (await this.#store.countKeys(id)));
    if (keysMax !== undefined && ofTenant >= keysMax) throw exceeded("tenant", keysMax);
    if (keysPerOwnerMax !== undefined) {
      const ofOwner = this.#ofOwner.get(ownerId) ?? (await this.#store.countKeysOfOwner(id, ownerId, keysPerOwnerMax));
      if (ofOwner >= keysPerOwnerMax) throw exceeded("owner", keysPerOwnerMax);
      this.#ofOwner.set(ownerId, ofOwner + 1);
    }
    this.#ofTenant = ofTenant + 1;
  }
}

function exceeded(quota: "tenant" | "owner", keysMax: number): IchorError {
  return new IchorError("QUOTA_EXCEEDED", `the ${quota} has ${keysMax} keys, as many as it may have`, {
    metadata: { quota },
  });
}
