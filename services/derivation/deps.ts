import type { SubscriptionLedger } from "../changes/subscription-ledger.ts";
import type { TokenFormat } from "../core/api-key.ts";
import type { KeyId, TenantId, TokenId } from "../core/ids.ts";
import type { Keyring } from "../keyring/keyring.ts";
import type { Freshness, KeyRecords } from "../verification/records.ts";
import type { CountVerification, VerifyPresented } from "../verification/verify-presented.ts";
import type { KeySetHub } from "./key-set-hub.ts";

/** The ports that DerivationService's methods work on. */
export interface DerivationDeps {
  readonly records: KeyRecords;
  readonly freshness: Pick<Freshness, "revision">;
  readonly hub: KeySetHub;
  readonly ledger: SubscriptionLedger;
  /** Calls back once after so many ms and gives what cancels that. */
  readonly schedule: (callback: () => void, delayMs: number) => () => void;
  readonly keyring: Pick<Keyring, "forTenant">;
  readonly verifyPresented: VerifyPresented;
  readonly countVerification: CountVerification;
  readonly countDerived: (format: TokenFormat) => void;
  /** Counts a token for the audit trail. */
  readonly noteDerived: (tenantId: TenantId, keyId: KeyId, tokenId: TokenId) => void;
  /** Base URL of the issuer. */
  readonly issuer: () => string;
  /** Random bytes of a cryptographic source. */
  readonly random: (size: number) => Uint8Array;
  /** Ms since the epoch. */
  readonly now: () => number;
}
