import { AdminService } from "../../gen/ichor/v1/admin_service_pb.ts";
import { FieldViolations } from "../core/field-violations.ts";
import { disableKey, enableKey, endGrace, requireDeletable, revokeKey } from "../core/key-life.ts";
import { mutateKey } from "../mutation/mutate-key.ts";
import { tellKey } from "../mutation/rotation.ts";
import type { Unary } from "../rpc/call.ts";
import { checkRevocation, parseKeyId, requireRequestId } from "../wire/request-fields.ts";
import type { AdminDeps } from "./deps.ts";

const {
  endGracePeriod: end,
  disableApiKey: disable,
  enableApiKey: enable,
  revokeApiKey: revoke,
  deleteApiKey: remove,
} = AdminService.method;

/** EndGracePeriod: from now on only the newest secret verifies. */
export function endGracePeriod(deps: AdminDeps): Unary<typeof end> {
  return async (request, call) => {
    requireRequestId(request.requestId);
    return mutateKey(deps, call, end, request, parseKeyId(request.keyId), {
      event: "grace_ended",
      change: endGrace,
      ...tellKey,
    });
  };
}

/** DisableApiKey: suspends a key. */
export function disableApiKey(deps: AdminDeps): Unary<typeof disable> {
  return async (request, call) => {
    requireRequestId(request.requestId);
    return mutateKey(deps, call, disable, request, parseKeyId(request.keyId), {
      event: "disabled",
      change: disableKey,
      ...tellKey,
    });
  };
}

/** EnableApiKey: resumes a suspended key. */
export function enableApiKey(deps: AdminDeps): Unary<typeof enable> {
  return async (request, call) => {
    requireRequestId(request.requestId);
    return mutateKey(deps, call, enable, request, parseKeyId(request.keyId), {
      event: "enabled",
      change: enableKey,
      ...tellKey,
    });
  };
}

/** RevokeApiKey: ends a key for ever. */
export function revokeApiKey(deps: AdminDeps): Unary<typeof revoke> {
  return async (request, call) => {
    const { comment } = request;
    const violations = new FieldViolations();
    const reason = checkRevocation(violations, request);
    violations.require(request.wait === undefined, "wait", "is not enforced by this version");
    violations.throwIfAny();
    return mutateKey(deps, call, revoke, request, parseKeyId(request.keyId), {
      event: "revoked",
      change: (key, nowMs) => revokeKey(key, { reason, comment, timeMs: nowMs }),
      ...tellKey,
    });
  };
}

/** DeleteApiKey: removes a revoked or expired key; its audit events stay. */
export function deleteApiKey(deps: AdminDeps): Unary<typeof remove> {
  return async (request, call) => {
    requireRequestId(request.requestId);
    return mutateKey(deps, call, remove, request, parseKeyId(request.keyId), {
      event: "deleted",
      change: (key, nowMs) => {
        requireDeletable(key, nowMs);
        return undefined;
      },
      respond: (_key, revision) => ({ revision }),
      recall: (_key, revision) => ({ revision }),
    });
  };
}
