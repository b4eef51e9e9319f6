import type { TenantSettings } from "../../services/core/tenant.ts";
import type { Store } from "../../services/store/port.ts";

/** Changes settings of tenant `default`; gives them as they were before. */
export async function changeSettings(store: Store, settings: Partial<TenantSettings>): Promise<TenantSettings> {
  const { result } = await store.mutate(async (tx) => {
    const tenant = await tx.getTenantBySlug("default");
    if (tenant === undefined) throw new Error("no default tenant");
    const { keysMax: _, keysPerOwnerMax: __, deadKeyRetentionDays: ___, ...always } = tenant.settings;
    await tx.updateTenant({ ...tenant, settings: { ...always, ...settings } });
    return {
      result: tenant.settings,
      change: { kind: "tenant", tenantId: tenant.id, event: "changed" },
      audit: { tenantId: tenant.id, action: "Test", target: tenant.id, address: "", requestId: "" },
    };
  });
  return result;
}
