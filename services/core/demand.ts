/** What a request needs of the credential that is presented with it, as the verifier tells. */
export interface Demand {
  /** Each must be covered; no patterns. Empty: none is needed. */
  readonly requiredScopes: readonly string[];
  /** Who verifies; absent: not told, which refuses where audiences matter. */
  readonly audience?: string | undefined;
  /** Address of the client, IPv4 or IPv6; absent: unknown, which refuses where networks matter. */
  readonly clientIp?: string | undefined;
  /** Facts about the request, for constraints on them. */
  readonly context: Readonly<Record<string, string>>;
  /** What isn't asked now, since a token that is being derived carries it on to where it will be asked. */
  readonly deferred?: ReadonlySet<DeferrableCode>;
}

/** Failures that only a request to the token's audience can show. */
export type DeferrableCode = "AUDIENCE_MISMATCH" | "IP_NOT_ALLOWED" | "CONSTRAINT_NOT_MET";
