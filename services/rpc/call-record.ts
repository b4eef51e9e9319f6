import { Code } from "@connectrpc/connect";
import type { Caller } from "../core/caller.ts";
import { getOrMake } from "../core/get-or-make.ts";
import type { TenantId } from "../core/ids.ts";
import type { Failure } from "./error-boundary.ts";
import type { Log, ParentLog } from "./log.ts";

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
  /** See `Call.clientAddress`. */
  readonly clientAddress: string;
  /** That of the connection. */
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

/** A log with what is the same in every good call of a caller, who is the same object from call to call, to a method. */
interface KnownLog {
  readonly tenantId: TenantId | undefined;
  readonly log: Log;
}

/**
 * Writes one line per call: good ones at info (open methods at debug, since probes come every few seconds), failed ones
 * at the level of their reason, with the cause of a server's fault. Messages of failures stay out, since they may quote
 * the request.
 */
export function logCalls(log: ParentLog): RecordCall {
  const known = new WeakMap<Caller, Map<string, KnownLog>>();
  const knownLog = (method: string, caller: Caller, tenantId: TenantId | undefined): Log => {
    const ofCaller = getOrMake(known, caller, () => new Map<string, KnownLog>());
    const ofMethod = ofCaller.get(method);
    if (ofMethod !== undefined && ofMethod.tenantId === tenantId) return ofMethod.log;
    const made = { tenantId, log: log.child({ method, keyId: caller.keyId, tenantId, code: "OK" }) };
    ofCaller.set(method, made);
    return made.log;
  };
  return ({ method, open, durationMs, clientAddress, peerAddress, caller, tenantId, failure, traceId }) => {
    // Of a proxy.
    const peer = peerAddress === clientAddress ? undefined : peerAddress;
    const rounded = Math.round(durationMs * 100) / 100;
    if (failure === undefined) {
      const line = caller === undefined ? log.child({ method, code: "OK" }) : knownLog(method, caller, tenantId);
      line[open ? "debug" : "info"]({ durationMs: rounded, clientAddress, peerAddress: peer, traceId }, "call");
      return;
    }
    const keyId = caller?.keyId;
    const { error, level, reason, logId, cause } = failure;
    const err = level === "error" ? cause : undefined;
    const fields = { method, durationMs: rounded, clientAddress, peerAddress: peer, keyId, tenantId };
    log[level]({ ...fields, code: Code[error.code], reason, logId, err, traceId }, "call failed");
  };
}
