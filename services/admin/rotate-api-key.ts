import { AdminService } from "../../gen/ichor/v1/admin_service_pb.ts";
import { formatIssuedKey } from "../core/credential.ts";
import { issuedDigest } from "../core/digest.ts";
import { FieldViolations } from "../core/field-violations.ts";
import { rotateKey } from "../core/key-life.ts";
import { mutateKey } from "../mutation/mutate-key.ts";
import type { Unary } from "../rpc/call.ts";
import { apiKeyToProto } from "../wire/api-key.ts";
import { fromDuration } from "../wire/time.ts";
import type { AdminDeps } from "./deps.ts";
import { checkRequestId, parseKeyId } from "./request-fields.ts";

const gracePeriodMsDefault = 24 * 3_600_000;
const gracePeriodMsMax = 30 * 86_400_000;

/** RotateApiKey: a new secret under the same id; older ones verify until the grace ends. */
export function rotateApiKey(deps: AdminDeps): Unary<typeof AdminService.method.rotateApiKey> {
  return async (request, call) => {
    const keyId = parseKeyId(request.keyId);
    const violations = new FieldViolations();
    const gracePeriodMs = request.gracePeriod === undefined ? gracePeriodMsDefault : fromDuration(request.gracePeriod);
    violations.require(
      gracePeriodMs !== undefined && gracePeriodMs <= gracePeriodMsMax,
      "grace_period",
      "must be 0 to 30 d",
    );
    checkRequestId(violations, request.requestId);
    violations.throwIfAny();
    const graceMs = gracePeriodMs ?? 0;
    const secret = deps.random(32);
    return mutateKey(deps, call, AdminService.method.rotateApiKey, request, keyId, {
      event: "rotated",
      change: (key, nowMs) => {
        const pepper = deps.peppers.current();
        return rotateKey(key, {
          digest: issuedDigest(pepper, key.tenantId, key.id, secret),
          pepperId: pepper.id,
          nowMs,
          gracePeriodMs: graceMs,
          revokeDerived: request.revokeDerived ?? graceMs === 0,
        });
      },
      respond: (key, revision, nowMs) => ({
        apiKey: apiKeyToProto(key, nowMs),
        credential: formatIssuedKey(key.prefix, key.id, secret),
        revision,
      }),
      recall: (key, revision, nowMs) => ({ ...(key && { apiKey: apiKeyToProto(key, nowMs) }), revision }),
    });
  };
}
