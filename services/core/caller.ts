import type { KeyId, TenantId } from "./ids.ts";

/** Who makes a call: the authentic, cleared key behind its bearer credential. */
export interface Caller {
  readonly keyId: KeyId;
  /** The caller's own tenant. */
  readonly tenantId: TenantId;
  /** Whether that tenant is `default`: only there do `ichor:system` and `ichor:tenants:*` count. */
  readonly inDefaultTenant: boolean;
  /** Granted scopes, as patterns. */
  readonly scopes: readonly string[];
}
