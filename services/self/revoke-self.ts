import { SelfService } from "../../gen/ichor/v1/self_service_pb.ts";
import { FieldViolations } from "../core/field-violations.ts";
import { revokeKey } from "../core/key-life.ts";
import { mutateKey } from "../mutation/mutate-key.ts";
import { tellKey } from "../mutation/rotation.ts";
import type { Unary } from "../rpc/call.ts";
import { checkRevocation } from "../wire/request-fields.ts";
import type { SelfDeps } from "./deps.ts";
import { ownSecretKey } from "./own-key.ts";

/** RevokeSelf: ends the caller's own key for ever. Any secret that verifies may: who has found one can only end it. */
export function revokeSelf(deps: SelfDeps): Unary<typeof SelfService.method.revokeSelf> {
  return async (request, call) => {
    const { key } = ownSecretKey(call);
    const violations = new FieldViolations();
    const reason = checkRevocation(violations, request);
    violations.throwIfAny();
    const { comment } = request;
    return mutateKey(deps, call, SelfService.method.revokeSelf, request, key.id, {
      event: "revoked",
      change: (before, nowMs) => revokeKey(before, { reason, comment, timeMs: nowMs }),
      ...tellKey,
    });
  };
}
