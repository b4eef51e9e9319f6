import type { KeyId, TenantId } from "../core/ids.ts";

/** A place in the order in which keys end. */
export interface ExpiryPlace {
  readonly expireTimeMs: number;
  /** Empty: before every key that ends then. */
  readonly keyId: KeyId | "";
}

/** A key that ends. */
export interface ExpiringKey {
  readonly id: KeyId;
  readonly tenantId: TenantId;
  readonly expireTimeMs: number;
}

/** What is known of the end of keys, and which ends were told. */
export interface ExpiryStore {
  /** Up to which key the end was told with this lead (ms); undefined: never yet. */
  expiryCursor(leadMs: number): Promise<ExpiryPlace | undefined>;
  /**
   * Keys of any tenant that come after a place and end by `throughMs`, in the order of their ends, then of their ids; not
   * those that are revoked, or that were made with less life than the lead.
   */
  expiringKeys(after: ExpiryPlace, throughMs: number, leadMs: number, limit: number): Promise<readonly ExpiringKey[]>;
  /**
   * Moves the cursor of a lead if it still stands at `from`; false: it doesn't. Outside of a transaction too, since that
   * there is nothing to tell needs no entry of the log.
   */
  moveExpiryCursor(leadMs: number, from: ExpiryPlace | undefined, to: ExpiryPlace): Promise<boolean>;
}
