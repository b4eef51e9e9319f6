export { attenuate, type Narrowing } from "./attenuate.ts";
export type { VerifierClock } from "./clock.ts";
export { createVerifier } from "./create-verifier.ts";
export { EventRefused } from "./feed-trust.ts";
export type { OnStale, RecordChanges, VerifierEvent, VerifierOptions } from "./options.ts";
export { readKeySet, type SignedKeySet } from "./read-key-set.ts";
export {
  type AskedOptions,
  type CredentialVerifier,
  createRemoteVerifier,
  type RemoteVerifierOptions,
} from "./remote-verifier.ts";
export { VerifierUnavailableError } from "./unavailable-error.ts";
export type { Verifier, VerifierStatus } from "./verifier.ts";
export type { RateLimitLeft, VerifyDemand, VerifyResult } from "./verify-result.ts";
