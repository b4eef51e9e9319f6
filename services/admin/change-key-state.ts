import { AdminService } from "../../gen/ichor/v1/admin_service_pb.ts";
import type { Applied } from "../changes/await-applied.ts";
import { IchorError } from "../core/errors.ts";
import { FieldViolations } from "../core/field-violations.ts";
import { disableKey, enableKey, endGrace, requireDeletable, revokeKey } from "../core/key-life.ts";
import { mutateKey } from "../mutation/mutate-key.ts";
import { tellKey } from "../mutation/rotation.ts";
import type { Call, Unary } from "../rpc/call.ts";
import { checkRevocation, parseKeyId, requireRequestId } from "../wire/request-fields.ts";
import { fromDuration } from "../wire/time.ts";
import type { AdminDeps } from "./deps.ts";

const {
  endGracePeriod: end,
  disableApiKey: disable,
  enableApiKey: enable,
  revokeApiKey: revoke,
  deleteApiKey: remove,
} = AdminService.method;

/** Longest wait for verifiers, in ms. */
const waitMsMax = 30_000;
/** What a wait leaves of the call's time for the answer, in ms. */
const answerMs = 100;

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
    const waitMs = request.wait === undefined ? 0 : fromDuration(request.wait);
    violations.require(waitMs !== undefined && waitMs <= waitMsMax, "wait", "must be 0 to 30 s");
    violations.throwIfAny();
    const answer = await mutateKey(deps, call, revoke, request, parseKeyId(request.keyId), {
      event: "revoked",
      change: (key, nowMs) => revokeKey(key, { reason, comment, timeMs: nowMs }),
      ...tellKey,
    });
    if (request.wait === undefined) return answer;
    const { everywhere, laggards } = await waitForAll(deps, call, BigInt(answer.revision ?? 0), waitMs ?? 0);
    return { ...answer, appliedEverywhere: everywhere, laggards: [...laggards] };
  };
}

/** Waits as long as was asked for, and no longer than leaves time to answer. What is done is done: a fault is a laggard. */
async function waitForAll({ awaitApplied }: AdminDeps, call: Call, revision: bigint, waitMs: number): Promise<Applied> {
  const endMs = performance.now() + Math.min(waitMs, call.remainingMs() - answerMs);
  try {
    return await awaitApplied(call.tenantId, revision, () => endMs - performance.now());
  } catch (error) {
    if (!(error instanceof IchorError)) throw error;
    return { everywhere: false, laggards: [] };
  }
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
