import type { Peppers } from "../core/digest.ts";
import type { MutationDeps } from "../mutation/mutate-key.ts";
import type { VerifyPresented } from "../verification/verify-presented.ts";

/** The ports that AdminService's methods work on. */
export interface AdminDeps extends MutationDeps {
  readonly peppers: Peppers;
  readonly verifyPresented: VerifyPresented;
  /** Random bytes of a cryptographic source. */
  readonly random: (size: number) => Uint8Array;
}
