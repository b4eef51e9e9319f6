/**
 * Every reason that a failed call may carry: the names of `ichor.v1.ErrorReason` without prefix.
 * A test holds the two lists equal.
 */
export const errorReasons = [
  "INVALID_FIELD",
  "REQUEST_TOO_LARGE",
  "CREDENTIAL_MISSING",
  "CREDENTIAL_REFUSED",
  "SCOPE_MISSING",
  "TENANT_NOT_ALLOWED",
  "RESERVED_SCOPE_NOT_COVERED",
  "KEY_NOT_FOUND",
  "TENANT_NOT_FOUND",
  "KEY_REVOKED",
  "KEY_EXPIRED",
  "KEY_STILL_LIVE",
  "TOO_MANY_SECRET_VERSIONS",
  "LAST_ROOT_CREDENTIAL",
  "KEY_KIND_NOT_ALLOWED",
  "REQUEST_ID_REUSED",
  "STORE_UNAVAILABLE",
  "SECRET_NOT_LOADED",
  "REVISION_NOT_REACHED",
  "DRAINING",
  "DEADLINE_EXCEEDED",
  "INTERNAL",
  "TENANT_DISABLED",
  "KEY_ALREADY_EXISTS",
  "KEY_WAS_REVOKED",
  "ETAG_MISMATCH",
  "QUOTA_EXCEEDED",
  "DERIVATION_NOT_ALLOWED",
  "PARENT_REFUSED",
  "CREDENTIAL_KIND_NOT_ALLOWED",
  "SECRET_SUPERSEDED",
  "SELF_ROTATION_NOT_ALLOWED",
  "TOO_MANY_TOKEN_REVOCATIONS",
  "SIGNING_KEY_NOT_FOUND",
  "NEXT_KEY_TOO_YOUNG",
  "TENANT_ALREADY_EXISTS",
  "DEFAULT_TENANT",
  "SUBSCRIPTION_NOT_FOUND",
  "KEY_SET_TOO_LARGE",
  "TOO_MANY_STREAMS",
  "RATE_LIMITED",
  "TOO_MANY_CALLS",
  "UPSTREAM_UNAVAILABLE",
] as const;

export type ErrorReason = (typeof errorReasons)[number];

/** One refused field: its path as `constraints.cidrs[2]`, and what is wrong with it, for people. */
export interface FieldViolation {
  readonly field: string;
  readonly description: string;
}

export interface IchorErrorDetails {
  /** Facts for programs; never a secret. */
  readonly metadata?: Readonly<Record<string, string>>;
  /** The refused fields of `INVALID_FIELD`. */
  readonly violations?: readonly FieldViolation[];
  /** For `UNAVAILABLE` and `RESOURCE_EXHAUSTED`: the least time to wait before the same call, in ms. */
  readonly retryAfterMs?: number;
  /** What happened underneath: logged, never sent. */
  readonly cause?: unknown;
}

/**
 * The one error of the domain. `message` is public: it may be sent to any caller.
 * The boundary in `rpc/` maps the reason to a status code; everything else that is thrown is a bug there.
 */
export class IchorError extends Error {
  override readonly name = "IchorError";
  readonly reason: ErrorReason;
  readonly metadata: Readonly<Record<string, string>>;
  readonly violations: readonly FieldViolation[];
  readonly retryAfterMs: number | undefined;

  constructor(reason: ErrorReason, publicMessage: string, details: IchorErrorDetails = {}) {
    super(publicMessage, details.cause === undefined ? undefined : { cause: details.cause });
    this.reason = reason;
    this.metadata = details.metadata ?? {};
    this.violations = details.violations ?? [];
    this.retryAfterMs = details.retryAfterMs;
  }
}
