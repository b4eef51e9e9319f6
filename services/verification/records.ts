import type { ApiKey } from "../core/api-key.ts";
import type { KeyId, TenantId } from "../core/ids.ts";
import type { Tenant } from "../core/tenant.ts";

/** A record as it is known here. */
export interface Known<T> {
  /** undefined: there is none. */
  readonly value: T | undefined;
  /** How long ago it was certain, in ms. */
  readonly ageMs: number;
}

/** What a verification looks up. Every answer knows all changes up to the `Freshness.revision` that was seen before it was asked. */
export interface KeyRecords {
  /** `noCache`: the store is asked, whatever is known. Rejects with STORE_UNAVAILABLE if it must be asked and can't. */
  key(id: KeyId, noCache: boolean): Promise<Known<ApiKey>>;
  tenant(id: TenantId, noCache: boolean): Promise<Known<Tenant>>;
}

/** Where the store's log stands, as this process knows. */
export interface Freshness {
  /** The revision up to which every change is known here. */
  readonly revision: bigint;
  /** Resolves once `revision` is known here; rejects with the signal's reason when it aborts. */
  reached(revision: bigint, signal: AbortSignal): Promise<void>;
}
