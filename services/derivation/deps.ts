import type { Keyring } from "../keyring/keyring.ts";
import type { Freshness, KeyRecords } from "../verification/records.ts";
import type { VerifyPresented } from "../verification/verify-presented.ts";

/** The ports that DerivationService's methods work on. */
export interface DerivationDeps {
  readonly records: KeyRecords;
  readonly freshness: Pick<Freshness, "revision">;
  readonly keyring: Pick<Keyring, "forTenant">;
  readonly verifyPresented: VerifyPresented;
  /** Base URL of the issuer. */
  readonly issuer: () => string;
  /** Random bytes of a cryptographic source. */
  readonly random: (size: number) => Uint8Array;
  /** Ms since the epoch. */
  readonly now: () => number;
}
