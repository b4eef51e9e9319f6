import type { KeyId, TenantId } from "./ids.ts";

/** What one mutating transaction did, for caches and subscribers. One per transaction, however many keys it touched. */
export type Change =
  | { readonly kind: "key"; readonly tenantId: TenantId; readonly event: KeyEvent; readonly keyIds: readonly KeyId[] }
  | { readonly kind: "tenant"; readonly tenantId: TenantId; readonly event: TenantEvent }
  | { readonly kind: "secret"; readonly event: "pepper_added" };

export type KeyEvent =
  | "issued"
  | "changed"
  | "rotated"
  | "grace_ended"
  | "disabled"
  | "enabled"
  | "revoked"
  | "deleted";

export type TenantEvent = "created" | "changed" | "disabled" | "enabled";

/** A digest of the change log up to and including a revision, 32 bytes. */
export type ChainHash = Uint8Array;

/** Where a store's history stands. */
export interface Head {
  readonly revision: bigint;
  readonly hash: ChainHash;
  /** Random id of this history; another one means that nothing learned before may be trusted. */
  readonly storeEpoch: string;
}

/** One committed entry of the log, as the tail reads it. */
export interface ChangeRow {
  readonly revision: bigint;
  readonly hash: ChainHash;
  readonly commitTimeMs: number;
  readonly change: Change;
}
