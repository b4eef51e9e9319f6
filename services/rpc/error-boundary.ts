import { randomUUID } from "node:crypto";
import { Code, ConnectError } from "@connectrpc/connect";
import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema } from "../../gen/google/rpc/error_details_pb.ts";
import { type ErrorReason, IchorError } from "../core/errors.ts";
import type { LogLevel } from "./log.ts";

/** What a reason means outside: its status code, and how loudly the failure is logged. */
interface Outcome {
  readonly code: Code;
  readonly level: LogLevel;
}

/** The total table. A test holds the codes equal to those that error_reason.proto promises. */
export const outcomeOfReason: Readonly<Record<ErrorReason, Outcome>> = {
  INVALID_FIELD: { code: Code.InvalidArgument, level: "info" },
  REQUEST_TOO_LARGE: { code: Code.ResourceExhausted, level: "info" },
  CREDENTIAL_MISSING: { code: Code.Unauthenticated, level: "info" },
  CREDENTIAL_REFUSED: { code: Code.Unauthenticated, level: "warn" },
  SCOPE_MISSING: { code: Code.PermissionDenied, level: "warn" },
  TENANT_NOT_ALLOWED: { code: Code.PermissionDenied, level: "warn" },
  RESERVED_SCOPE_NOT_COVERED: { code: Code.PermissionDenied, level: "warn" },
  KEY_NOT_FOUND: { code: Code.NotFound, level: "info" },
  TENANT_NOT_FOUND: { code: Code.NotFound, level: "info" },
  KEY_REVOKED: { code: Code.FailedPrecondition, level: "info" },
  KEY_EXPIRED: { code: Code.FailedPrecondition, level: "info" },
  KEY_STILL_LIVE: { code: Code.FailedPrecondition, level: "info" },
  TOO_MANY_SECRET_VERSIONS: { code: Code.FailedPrecondition, level: "info" },
  LAST_ROOT_CREDENTIAL: { code: Code.FailedPrecondition, level: "info" },
  KEY_KIND_NOT_ALLOWED: { code: Code.FailedPrecondition, level: "info" },
  REQUEST_ID_REUSED: { code: Code.AlreadyExists, level: "info" },
  STORE_UNAVAILABLE: { code: Code.Unavailable, level: "error" },
  SECRET_NOT_LOADED: { code: Code.Unavailable, level: "error" },
  REVISION_NOT_REACHED: { code: Code.Unavailable, level: "warn" },
  DRAINING: { code: Code.Unavailable, level: "info" },
  DEADLINE_EXCEEDED: { code: Code.DeadlineExceeded, level: "warn" },
  INTERNAL: { code: Code.Internal, level: "error" },
  TENANT_DISABLED: { code: Code.FailedPrecondition, level: "info" },
  KEY_ALREADY_EXISTS: { code: Code.AlreadyExists, level: "info" },
  KEY_WAS_REVOKED: { code: Code.FailedPrecondition, level: "info" },
  ETAG_MISMATCH: { code: Code.Aborted, level: "info" },
  QUOTA_EXCEEDED: { code: Code.ResourceExhausted, level: "info" },
  DERIVATION_NOT_ALLOWED: { code: Code.PermissionDenied, level: "info" },
  PARENT_REFUSED: { code: Code.FailedPrecondition, level: "info" },
  CREDENTIAL_KIND_NOT_ALLOWED: { code: Code.PermissionDenied, level: "warn" },
  SECRET_SUPERSEDED: { code: Code.PermissionDenied, level: "info" },
  SELF_ROTATION_NOT_ALLOWED: { code: Code.PermissionDenied, level: "info" },
  TOO_MANY_TOKEN_REVOCATIONS: { code: Code.ResourceExhausted, level: "info" },
  SIGNING_KEY_NOT_FOUND: { code: Code.NotFound, level: "info" },
  NEXT_KEY_TOO_YOUNG: { code: Code.FailedPrecondition, level: "info" },
  TENANT_ALREADY_EXISTS: { code: Code.AlreadyExists, level: "info" },
  KEY_SET_TOO_LARGE: { code: Code.ResourceExhausted, level: "info" },
  TOO_MANY_STREAMS: { code: Code.ResourceExhausted, level: "warn" },
  RATE_LIMITED: { code: Code.ResourceExhausted, level: "info" },
  TOO_MANY_CALLS: { code: Code.ResourceExhausted, level: "warn" },
  UPSTREAM_UNAVAILABLE: { code: Code.Unavailable, level: "warn" },
  DEFAULT_TENANT: { code: Code.FailedPrecondition, level: "info" },
  SUBSCRIPTION_NOT_FOUND: { code: Code.NotFound, level: "info" },
};

type OutgoingDetails = NonNullable<ConstructorParameters<typeof ConnectError>[3]>;

/** A failed call: what the caller gets, and what the log gets. */
export interface Failure {
  /** Goes to the caller, with its google.rpc details. */
  readonly error: ConnectError;
  readonly level: LogLevel;
  /** Absent for faults of the protocol itself and for calls whose client went away. */
  readonly reason?: ErrorReason;
  /** Names the log line of a fault of the server; the caller gets it as metadata `log_id`. */
  readonly logId?: string;
  /** What happened underneath: logged, never sent. */
  readonly cause?: unknown;
}

/**
 * Turns whatever a call threw into its failure. What isn't known is a bug: INTERNAL, and nothing of it is sent.
 * `clientAborted` says that the client was gone by then, so that the AbortError which follows from it is no bug.
 */
export function failureOf(thrown: unknown, clientAborted: boolean): Failure {
  if (thrown instanceof IchorError) return failureOfIchorError(thrown);
  if (thrown instanceof ConnectError) return failureOfConnectError(thrown);
  if (clientAborted && thrown instanceof Error && thrown.name === "AbortError") return clientGone(thrown);
  return failureOfIchorError(new IchorError("INTERNAL", "internal error", { cause: thrown }));
}

/** The failure of a call whose client is gone: nobody reads it. */
function clientGone(cause: unknown): Failure {
  return { error: new ConnectError("the client went away", Code.Canceled), level: "info", cause };
}

function failureOfIchorError(thrown: IchorError): Failure {
  const { reason } = thrown;
  const { code, level } = outcomeOfReason[reason];
  const logId = reason === "INTERNAL" ? randomUUID() : undefined;
  const metadata = logId === undefined ? { ...thrown.metadata } : { ...thrown.metadata, log_id: logId };
  const details: OutgoingDetails = [{ desc: ErrorInfoSchema, value: { reason, domain: "ichor", metadata } }];
  if (thrown.violations.length > 0) {
    details.push({ desc: BadRequestSchema, value: { fieldViolations: thrown.violations.map((v) => ({ ...v })) } });
  }
  if (thrown.retryAfterMs !== undefined) {
    details.push({ desc: RetryInfoSchema, value: { retryDelay: durationOfMs(thrown.retryAfterMs) } });
  }
  const error = new ConnectError(thrown.message, code, undefined, details, thrown.cause);
  return { error, level, reason, ...(logId === undefined ? {} : { logId }), cause: thrown.cause };
}

/**
 * connect's own errors: those with a reason of ours get it, so that a client reads them like every other. The rest
 * (unknown compression, a second message in a unary call) keeps connect's code and carries no ErrorInfo.
 */
function failureOfConnectError(thrown: ConnectError): Failure {
  switch (thrown.code) {
    case Code.InvalidArgument:
      return failureOfIchorError(new IchorError("INVALID_FIELD", thrown.rawMessage));
    case Code.ResourceExhausted:
      return failureOfIchorError(new IchorError("REQUEST_TOO_LARGE", thrown.rawMessage));
    case Code.DeadlineExceeded:
      return failureOfIchorError(deadlineExceeded());
    case Code.Canceled:
    case Code.Aborted:
      return clientGone(thrown);
    case Code.Internal:
    case Code.Unknown:
      return failureOfIchorError(new IchorError("INTERNAL", "internal error", { cause: thrown }));
    default:
      return { error: thrown, level: "info" };
  }
}

/** The error of a call that outlived its deadline. */
export function deadlineExceeded(): IchorError {
  return new IchorError("DEADLINE_EXCEEDED", "the deadline passed; a change may or may not have been made");
}

function durationOfMs(ms: number): { seconds: bigint; nanos: number } {
  const seconds = Math.floor(ms / 1000);
  return { seconds: BigInt(seconds), nanos: Math.round((ms - seconds * 1000) * 1e6) };
}
