import type { ApiKey, CredentialKind, SecretVersion } from "./api-key.ts";
import type { DerivedToken } from "./derived-token.ts";
import type { KeyId, TenantId } from "./ids.ts";
import type { RateLimit } from "./rate-limit.ts";

/** Who makes a call: the authentic, cleared key behind its bearer credential. */
export interface Caller {
  readonly keyId: KeyId;
  /** The caller's own tenant. */
  readonly tenantId: TenantId;
  /** Whether that tenant is `default`: only there do `ichor:system` and `ichor:tenants:*` count. */
  readonly inDefaultTenant: boolean;
  /** Granted scopes, as patterns, as far as the credential is meant for Ichor itself. */
  readonly scopes: readonly string[];
  /** What was presented. */
  readonly kind: CredentialKind;
  /** Number of the secret version that was presented; absent for a token. */
  readonly secretVersion?: number;
  /** Those of its key, which each call takes a use of; absent: none. */
  readonly rateLimits?: readonly RateLimit[];
  /** What was presented itself; only for methods that are about the caller's own credential. */
  readonly holder?: Holder;
}

/** An authentic credential in the hands of its holder, as a parent of tokens. */
export interface Holder {
  readonly key: ApiKey;
  /** The secret that was presented, or that the macaroon was derived with. */
  readonly version?: SecretVersion | undefined;
  /** What was presented, if it is a derived token. */
  readonly token?: DerivedToken | undefined;
  /** The presented text of a macaroon, which its child is made of. Never logged. */
  readonly macaroonText?: string | undefined;
}

/** Whether a caller presented a token that was derived from its key, and not the key. */
export function isTokenCaller({ kind }: Pick<Caller, "kind">): boolean {
  return kind === "JWT" || kind === "MACAROON";
}
