import type { Carrier } from "./call.ts";
import type { CallRecord } from "./call-record.ts";

/** Follows a call as a part of a trace. */
export interface CallTrace {
  /** 32 hex digits. */
  readonly traceId: string;
  /** Runs what belongs to the call, so that its steps are found to be this call's. */
  run<T>(work: () => T): T;
  /** Ends it with what became of the call; once. */
  end(record: CallRecord): void;
}

/** Begins to follow a call. Must not throw. */
export type TraceCall = (method: string, carrier: Carrier) => CallTrace;
