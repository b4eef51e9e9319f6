import { getOrMake } from "../core/get-or-make.ts";
import type { CallRecord, RecordCall } from "../rpc/call-record.ts";
import { errorTypeOf, statusNameOf } from "./call-status.ts";
import type { AttributesOf } from "./instruments.ts";
import type { Metrics } from "./metrics.ts";

type CallAttributes = AttributesOf<"rpc.server.call.duration">;

/**
 * Measures each finished call, if anybody wants to know. Its attributes are made once for each way that a method ended so
 * far.
 */
export function measureCalls(metrics: Metrics): RecordCall {
  const durations = metrics.histogram("rpc.server.call.duration");
  if (durations === undefined) return () => {};
  const made = new Map<string, Map<string, CallAttributes>>();
  return (call) => {
    const ofMethod = getOrMake(made, call.method, () => new Map<string, CallAttributes>());
    // Short and without a new string for what goes well.
    const end =
      call.failure === undefined
        ? call.system
        : `${call.system} ${errorTypeOf(call.failure)} ${call.failure.error.code}`;
    const attributes = getOrMake(ofMethod, end, () => attributesOf(call));
    durations.record(call.durationMs / 1_000, attributes);
  };
}

function attributesOf({ system, method, failure }: CallRecord): CallAttributes {
  return Object.freeze({
    "rpc.system.name": system,
    "rpc.method": method,
    "rpc.response.status_code": failure === undefined ? "OK" : statusNameOf(failure.error.code),
    "error.type": failure === undefined ? "" : errorTypeOf(failure),
  });
}
