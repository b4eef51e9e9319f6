import type { Keyring } from "../keyring/keyring.ts";
import type { RotationDeps } from "../mutation/rotation.ts";
import type { MutationDeps } from "../mutation/run-once.ts";
import type { VerifyPresented } from "../verification/verify-presented.ts";

/** The ports that AdminService's methods work on. */
export interface AdminDeps extends MutationDeps, RotationDeps {
  readonly keyring: Pick<Keyring, "newSigningKey" | "firstKeys" | "saveStep">;
  readonly verifyPresented: VerifyPresented;
  /** Base URL of the issuer. */
  readonly issuer: () => string;
}
