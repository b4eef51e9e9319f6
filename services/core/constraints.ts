/**
 * What a credential demands of a request beyond its scopes: one model behind keys, the JWT claim `cst`
 * and macaroon caveats. Every field that is set must be satisfied.
 */
export interface Constraints {
  /** Refused before this time, ms since the epoch. */
  readonly notBeforeMs?: number;
  /** Refused from this time on, ms since the epoch. */
  readonly expireTimeMs?: number;
  /** The request's audience must be one of these; absent: any. */
  readonly audiences?: readonly string[];
  /** Each required scope must be covered by one of these; absent: no narrowing. An empty list allows no scope. */
  readonly scopes?: readonly string[];
  /** The client address must be in one of these networks (CIDR); absent: any. */
  readonly cidrs?: readonly string[];
  /** The context must have each name with exactly this value, compared by bytes. */
  readonly contextEquals?: Readonly<Record<string, string>>;
  /** The context must have each name with a value beginning with this one, compared by bytes. */
  readonly contextPrefixes?: Readonly<Record<string, string>>;
}
