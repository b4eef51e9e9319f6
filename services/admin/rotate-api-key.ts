import { AdminService } from "../../gen/ichor/v1/admin_service_pb.ts";
import { FieldViolations } from "../core/field-violations.ts";
import { mutateKey } from "../mutation/mutate-key.ts";
import { gracePeriodMsDefault, gracePeriodMsMax, rotation } from "../mutation/rotation.ts";
import type { Unary } from "../rpc/call.ts";
import { checkRequestId, parseKeyId } from "../wire/request-fields.ts";
import { fromDuration } from "../wire/time.ts";
import type { AdminDeps } from "./deps.ts";

/** RotateApiKey: a new secret under the same id; older ones verify until the grace ends. */
export function rotateApiKey(deps: AdminDeps): Unary<typeof AdminService.method.rotateApiKey> {
  return async (request, call) => {
    const keyId = parseKeyId(request.keyId);
    const violations = new FieldViolations();
    const graceMs = request.gracePeriod === undefined ? gracePeriodMsDefault : fromDuration(request.gracePeriod);
    violations.require(graceMs !== undefined && graceMs <= gracePeriodMsMax, "grace_period", "must be 0 to 30 d");
    checkRequestId(violations, request.requestId);
    violations.throwIfAny();
    const gracePeriodMs = graceMs ?? 0;
    const revokeDerived = request.revokeDerived ?? gracePeriodMs === 0;
    const mutation = rotation(deps, { gracePeriodMs, revokeDerived });
    return mutateKey(deps, call, AdminService.method.rotateApiKey, request, keyId, mutation);
  };
}
