import type { ApiKey, CredentialKind, SecretVersion } from "./api-key.ts";
import type { DerivedToken } from "./derived-token.ts";
import type { RateLimitState } from "./rate-limit.ts";
import type { VerificationCode } from "./verification-code.ts";

/** What a verification found. */
export interface Verification {
  readonly code: VerificationCode;
  /** What was presented, if it can be told. */
  readonly kind?: CredentialKind;
  /** Set if the presented secret is right, whatever the code. */
  readonly key?: ApiKey;
  /** The secret that was presented, with `key`. */
  readonly version?: SecretVersion;
  /** The derived token that was presented, if it is authentic, whatever the code. */
  readonly token?: DerivedToken;
  /** What the credential really allows, with `key`. */
  readonly scopes?: readonly string[];
  /** When the credential ends, ms since the epoch; absent: never. */
  readonly expireTimeMs?: number | undefined;
  /** What is left of the key's limits, if it has some and nothing else refused. */
  readonly rateLimits?: readonly RateLimitState[];
  /** The answer knows every change up to this revision. */
  readonly revision: bigint;
  /** Age of that knowledge in ms. */
  readonly ageMs: number;
}
