import type { KeyId, SigningKeyId, TenantId, TokenId } from "./ids.ts";

/** What one mutating transaction did, for caches and subscribers. One per transaction, however many keys it touched. */
export type Change =
  | {
      readonly kind: "key";
      readonly tenantId: TenantId;
      readonly event: KeyEvent;
      readonly keyIds: readonly KeyId[];
      /** Of each of these keys from now on, if the event raised it. */
      readonly tokenEpoch?: number;
    }
  | {
      readonly kind: "tenant";
      readonly tenantId: TenantId;
      readonly event: TenantEvent;
      /** With `tokens_revoked`: which tokens ended, ms since the epoch. */
      readonly tokensIssuedBeforeMs?: number;
    }
  | { readonly kind: "secret"; readonly event: SecretEvent }
  /** The store has another epoch: everyone begins anew. */
  | { readonly kind: "store"; readonly event: "epoch_renewed" }
  | {
      readonly kind: "signing_key";
      readonly tenantId: TenantId;
      readonly event: SigningKeyEvent;
      /** All whose state changed, new ones among them. */
      readonly signingKeyIds: readonly SigningKeyId[];
      /** All that are published after it: what verifies the tenant's JWTs from now on. */
      readonly published: readonly PublishedSigningKey[];
    }
  | { readonly kind: "audience_key"; readonly tenantId: TenantId; readonly event: "rotated"; readonly audience: string }
  /** Nothing changed: the audit event of this revision is all that there is to tell. */
  | { readonly kind: "audit"; readonly tenantId: TenantId; readonly event: "noted" }
  | {
      readonly kind: "token";
      readonly tenantId: TenantId;
      readonly event: TokenEvent;
      readonly tokens: readonly TokenRevocation[];
    };

export type KeyEvent =
  | "issued"
  | "imported"
  | "changed"
  | "rotated"
  | "grace_ended"
  | "disabled"
  | "enabled"
  | "revoked"
  | "deleted"
  /** The token epoch was raised. */
  | "tokens_revoked"
  /** No token can live any more that its mark told of. */
  | "forgotten";

/** `tokens_revoked`: those issued before a time ended. */
export type TenantEvent = "created" | "changed" | "disabled" | "enabled" | "tokens_revoked";

export type SecretEvent =
  | "pepper_added"
  | "pepper_retired"
  | "macaroon_master_added"
  | "checkpoint_key_added"
  | "feed_key_changed";

export type SigningKeyEvent = "created" | "rotated" | "compromised" | "removed";

/** `forgotten`: they have ended by themselves. */
export type TokenEvent = "revoked" | "forgotten";

/** A derived token that was revoked by itself. */
export type TokenRevocation = {
  readonly keyId: KeyId;
  readonly tokenId: TokenId;
  /** From when on it needn't be remembered, ms since the epoch. */
  readonly forgetTimeMs: number;
};

/** A signing key as verifiers know it. */
export type PublishedSigningKey = {
  /** RFC 7638 thumbprint. */
  readonly kid: string;
  readonly state: "NEXT" | "ACTIVE" | "RETIRED";
  /** A `PublicJwk`, as JSON. */
  readonly publicJwk: Readonly<Record<string, string>>;
};

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
