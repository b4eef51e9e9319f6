import { Code } from "@connectrpc/connect";
import type { Failure } from "../rpc/error-boundary.ts";

/** What a failed call is counted under: its reason; for what has none, as a client that went away, the status. */
export function errorTypeOf({ reason, error }: Failure): string {
  return reason ?? statusNameOf(error.code);
}

/** `DEADLINE_EXCEEDED`, as gRPC writes it. */
export function statusNameOf(code: Code): string {
  return Code[code].replace(/(?<=[a-z])(?=[A-Z])/g, "_").toUpperCase();
}
