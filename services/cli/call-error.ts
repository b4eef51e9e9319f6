import { Code, ConnectError } from "@connectrpc/connect";
import { BadRequestSchema, ErrorInfoSchema } from "../../gen/google/rpc/error_details_pb.ts";
import { onOneLine } from "./print.ts";

/** Whether an error is the answer, or the lack of one, of a server. */
export function isCallError(error: unknown): error is ConnectError {
  return error instanceof ConnectError;
}

/** An error of a call, for a person (with a line per refused field) or as one line of JSON. */
export function describeCallError(error: ConnectError, json: boolean): string {
  const [info] = error.findDetails(ErrorInfoSchema);
  const violations = error.findDetails(BadRequestSchema).flatMap((detail) => detail.fieldViolations);
  if (json) {
    return JSON.stringify({
      code: Code[error.code],
      reason: info?.reason,
      message: error.rawMessage,
      violations: violations.map(({ field, description }) => ({ field, description })),
    });
  }
  const lines = violations.map(({ field, description }) => `  - ${field} ${description}`);
  const unreached =
    info === undefined && error.code === Code.Unavailable ? " (ICHOR_URL says where the server is)" : "";
  const first = `ichor: ${info?.reason ?? Code[error.code]}: ${error.rawMessage}${unreached}`;
  return [first, ...lines].map(onOneLine).join("\n");
}

/** Whether the same call may succeed later: the server is away, busy or locked. */
export function isWorthRetrying({ code }: ConnectError): boolean {
  return code === Code.Unavailable || code === Code.DeadlineExceeded || code === Code.Aborted;
}
