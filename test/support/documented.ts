import { ConnectError } from "@connectrpc/connect";
import { expect, it } from "vitest";
import { ErrorInfoSchema } from "../../gen/google/rpc/error_details_pb.ts";
import type { ErrorReason } from "../../services/core/errors.ts";

/**
 * A test that a method fails with a reason that its proto comment documents: `call` must reject with just that reason.
 * documented-reasons.test.ts holds that every documented reason has one, by the literal words of this call.
 */
export function documented(method: string, reason: ErrorReason, call: () => Promise<unknown>): void {
  it(`${method} answers ${reason}`, async () => {
    expect(await reasonOfRejection(call())).toBe(reason);
  });
}

/** The reason that a call fails with; fails if it succeeds. */
export async function reasonOfRejection(call: Promise<unknown>): Promise<string | undefined> {
  try {
    await call;
  } catch (thrown) {
    return ConnectError.from(thrown).findDetails(ErrorInfoSchema)[0]?.reason ?? String(thrown);
  }
  throw new Error("the call succeeded");
}
