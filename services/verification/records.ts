import type { ApiKey } from "../core/api-key.ts";
import type { KeyId, TenantId } from "../core/ids.ts";
import type { Tenant } from "../core/tenant.ts";

/** What a verification looks up, and what that knowledge is worth. */
export interface KeyRecords {
  key(id: KeyId): Promise<ApiKey | undefined>;
  tenant(id: TenantId): Promise<Tenant | undefined>;
}

/** Where the store's log stands, as this process knows. */
export interface Freshness {
  /** The revision up to which every change is known here. */
  readonly revision: bigint;
  /** Resolves once `revision` is known here; rejects with the signal's reason when it aborts. */
  reached(revision: bigint, signal: AbortSignal): Promise<void>;
}
