import { Code } from "@connectrpc/connect";
import type { Caller } from "../core/caller.ts";
import type { TenantId } from "../core/ids.ts";
import type { Failure } from "./error-boundary.ts";
import type { Log } from "./log.ts";

/** `rpc.system.name` of OpenTelemetry's conventions. gRPC-Web counts as gRPC. */
export type RpcSystem = "grpc" | "connectrpc";

/** One finished call, as log and metrics want it: ids only, no secret, no argument. */
export interface CallRecord {
  /** Full method name. */
  readonly method: string;
  /** By what it came, */
  readonly system: RpcSystem;
  /** Whether the method is open to anyone, as health. */
  readonly open: boolean;
  readonly durationMs: number;
  readonly peerAddress: string;
  /** Absent if the call ended before its caller was known. */
  readonly caller: Caller | undefined;
  /** The tenant that was acted in. */
  readonly tenantId: TenantId | undefined;
  readonly failure: Failure | undefined;
  /** The trace that it belongs to, 32 hex digits; undefined if neither its caller nor this server has one. */
  readonly traceId: string | undefined;
}

/** Takes each finished call, once. Must not throw. */
export type RecordCall = (record: CallRecord) => void;

/**
 * Writes one line per call: good ones at info (open methods at debug, since probes come every few seconds), failed ones
 * at the level of their reason, with the cause of a server's fault. Messages of failures stay out, since they may quote
 * the request.
 */
export function logCalls(log: Log): RecordCall {
  return ({ method, open, durationMs, peerAddress, caller, tenantId, failure, traceId }) => {
    const keyId = caller?.keyId;
    const rounded = Math.round(durationMs * 100) / 100;
    if (failure === undefined) {
      log[open ? "debug" : "info"](
        { method, durationMs: rounded, peerAddress, keyId, tenantId, code: "OK", traceId },
        "call",
      );
      return;
    }
    const { error, level, reason, logId, cause } = failure;
    const err = level === "error" ? cause : undefined;
    const fields = { method, durationMs: rounded, peerAddress, keyId, tenantId };
    log[level]({ ...fields, code: Code[error.code], reason, logId, err, traceId }, "call failed");
  };
}
