import { SelfService } from "../../gen/ichor/v1/self_service_pb.ts";
import { IchorError } from "../core/errors.ts";
import { FieldViolations } from "../core/field-violations.ts";
import { findTenant } from "../mutation/find-tenant.ts";
import { mutateKey } from "../mutation/mutate-key.ts";
import { gracePeriodMsDefault, gracePeriodMsMax, rotation } from "../mutation/rotation.ts";
import type { Unary } from "../rpc/call.ts";
import { checkRequestId } from "../wire/request-fields.ts";
import { fromDuration } from "../wire/time.ts";
import type { SelfDeps } from "./deps.ts";
import { ownSecretKey, requireNewest } from "./own-key.ts";

/** So that a holder whose answer was lost can still ask for it. */
const gracePeriodMsMin = 5 * 60_000;

/** RotateSelf: a new secret for the caller's own key. The one that it supersedes may repeat the call, and no other. */
export function rotateSelf(deps: SelfDeps): Unary<typeof SelfService.method.rotateSelf> {
  return async (request, call) => {
    const { key, version } = ownSecretKey(call);
    const violations = new FieldViolations();
    const graceMs = request.gracePeriod === undefined ? gracePeriodMsDefault : fromDuration(request.gracePeriod);
    const fits = graceMs !== undefined && graceMs >= gracePeriodMsMin && graceMs <= gracePeriodMsMax;
    violations.require(fits, "grace_period", "must be 5 min to 30 d");
    checkRequestId(violations, request.requestId);
    violations.throwIfAny();
    const { settings } = await findTenant(deps.store, call.tenantId);
    if (!settings.selfRotationAllowed)
      throw new IchorError("SELF_ROTATION_NOT_ALLOWED", "the tenant doesn't let keys rotate themselves");
    const rotates = rotation(deps, { gracePeriodMs: graceMs ?? 0, revokeDerived: false });
    return mutateKey(deps, call, SelfService.method.rotateSelf, request, key.id, {
      ...rotates,
      repeatedBy: String(version.number),
      change: (before, nowMs, tx) => {
        requireNewest(call.caller, before);
        return rotates.change(before, nowMs, tx);
      },
    });
  };
}
