import type { Applied } from "../changes/await-applied.ts";
import type { SubscriptionLedger } from "../changes/subscription-ledger.ts";
import type { TenantId } from "../core/ids.ts";
import type { Keyring } from "../keyring/keyring.ts";
import type { SigningSecrets } from "../keyring/signing-secret.ts";
import type { RotationDeps } from "../mutation/rotation.ts";
import type { MutationDeps } from "../mutation/run-once.ts";
import type { Freshness } from "../verification/records.ts";
import type { CountVerification, VerifyPresented } from "../verification/verify-presented.ts";
import type { EventSource } from "./event-stream.ts";

/** The ports that AdminService's methods work on. */
export interface AdminDeps extends MutationDeps, RotationDeps {
  readonly keyring: Pick<Keyring, "newSigningKey" | "firstKeys" | "saveStep">;
  readonly verifyPresented: VerifyPresented;
  readonly countVerification: CountVerification;
  /** Base URL of the issuer. */
  readonly issuer: () => string;
  /** Who follows key sets. */
  readonly ledger: SubscriptionLedger;
  /** Where the store's log stands, as this process knows. */
  readonly freshness: Freshness;
  /** The keys that checkpoints of the audit trail were signed by. */
  readonly checkpointKeys: () => Promise<SigningSecrets>;
  /** What streams of events read. */
  readonly events: EventSource;
  /** Waits until a change is applied everywhere in a tenant; see changes/await-applied.ts. */
  readonly awaitApplied: (tenantId: TenantId, revision: bigint, remainingMs: () => number) => Promise<Applied>;
}
