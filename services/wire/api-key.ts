import type { MessageInitShape } from "@bufbuild/protobuf";
import type { ApiKeySchema, ConstraintsSchema, SecretVersionSchema } from "../../gen/ichor/v1/api_key_pb.ts";
import type { ApiKey, SecretVersion } from "../core/api-key.ts";
import type { Constraints } from "../core/constraints.ts";
import { keyStatus } from "../core/key-life.ts";
import { derivePolicyToProto } from "./derive-policy.ts";
import { credentialKindToProto, keyStatusToProto, revocationReasonToProto, visibilityToProto } from "./enums.ts";
import { rateLimitsToProto } from "./rate-limit.ts";
import { toTimestamp } from "./time.ts";

/** A key as told to callers at `nowMs`: no digest leaves. */
export function apiKeyToProto(key: ApiKey, nowMs: number): MessageInitShape<typeof ApiKeySchema> {
  const { revocation } = key;
  return {
    id: key.id,
    tenantId: key.tenantId,
    name: key.name,
    ownerId: key.ownerId,
    scopes: [...key.scopes],
    metadata: key.metadata,
    labels: { ...key.labels },
    status: keyStatusToProto[keyStatus(key, nowMs)],
    visibility: visibilityToProto[key.visibility],
    kind: credentialKindToProto[key.kind],
    prefix: key.prefix,
    createTime: toTimestamp(key.createTimeMs),
    updateTime: toTimestamp(key.updateTimeMs),
    expireTime: toTimestamp(key.expireTimeMs),
    lastUsedTime: toTimestamp(key.use?.lastTimeMs),
    lastUsedAddress: key.use?.lastAddress ?? "",
    useCount: BigInt(key.use?.count ?? 0),
    secretVersions: key.secretVersions
      .filter((version) => version.graceEndTimeMs === undefined || version.graceEndTimeMs > nowMs)
      .map(secretVersionToProto),
    allowedCidrs: [...key.allowedCidrs],
    constraints: constraintsToProto(key.constraints),
    rateLimits: rateLimitsToProto(key.rateLimits),
    derivePolicy: derivePolicyToProto(key.derivePolicy),
    tokenEpoch: BigInt(key.tokenEpoch),
    revocation: revocation && {
      reason: revocationReasonToProto[revocation.reason],
      comment: revocation.comment,
      time: toTimestamp(revocation.timeMs),
    },
    etag: etagOf(key),
  };
}

/** Changes with every change of the key: the revision of the last one. */
export function etagOf(key: ApiKey): string {
  return key.revision.toString(36);
}

function secretVersionToProto(version: SecretVersion): MessageInitShape<typeof SecretVersionSchema> {
  return {
    id: String(version.number),
    createTime: toTimestamp(version.createTimeMs),
    graceEndTime: toTimestamp(version.graceEndTimeMs),
    lastUsedTime: toTimestamp(version.use?.lastTimeMs),
    useCount: BigInt(version.use?.count ?? 0),
    current: version.graceEndTimeMs === undefined,
  };
}

function constraintsToProto(constraints: Constraints): MessageInitShape<typeof ConstraintsSchema> | undefined {
  if (Object.keys(constraints).length === 0) return undefined;
  return {
    notBefore: toTimestamp(constraints.notBeforeMs),
    expireTime: toTimestamp(constraints.expireTimeMs),
    audiences: [...(constraints.audiences ?? [])],
    scopes: [...(constraints.scopes ?? [])],
    cidrs: [...(constraints.cidrs ?? [])],
    contextEquals: { ...constraints.contextEquals },
    contextPrefixes: { ...constraints.contextPrefixes },
  };
}
