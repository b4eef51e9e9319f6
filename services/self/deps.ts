import type { RotationDeps } from "../mutation/rotation.ts";
import type { MutationDeps } from "../mutation/run-once.ts";
import type { VerifyPresented } from "../verification/verify-presented.ts";

/** The ports that SelfService's methods work on. */
export interface SelfDeps extends MutationDeps, RotationDeps {
  readonly verifyPresented: VerifyPresented;
}
