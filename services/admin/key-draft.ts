import type { MessageShape } from "@bufbuild/protobuf";
import type { ImportApiKeyRequestSchema, IssueApiKeyRequestSchema } from "../../gen/ichor/v1/admin_service_pb.ts";
import type { ApiKey, KeyKind } from "../core/api-key.ts";
import type { FieldViolations } from "../core/field-violations.ts";
import { mayHoldReservedScopes } from "../core/key-life.ts";
import { isReserved } from "../core/scopes.ts";
import type { Tenant } from "../core/tenant.ts";
import { parseDerivePolicy } from "../wire/derive-policy.ts";
import { visibilityFromProto } from "../wire/enums.ts";
import { parseRateLimits } from "../wire/rate-limit.ts";
import {
  checkGrants,
  checkLabels,
  checkMetadata,
  checkText,
  nameBytesMax,
  parseConstraints,
  parseNetworks,
} from "../wire/request-fields.ts";
import { fromDuration, fromTimestamp } from "../wire/time.ts";

const ttlMsMax = 3650 * 86_400_000;
/** From here on a key can't end: the year 9999. */
export const expireTimeMsMax = Date.UTC(9999, 0, 1);

/** What issuing and importing have in common. */
type KeyRequest = MessageShape<typeof IssueApiKeyRequestSchema> | MessageShape<typeof ImportApiKeyRequestSchema>;

/** What a request asks for, as far as it can be said without the tenant. */
export interface KeyDraft {
  readonly fields: Pick<
    ApiKey,
    | "name"
    | "ownerId"
    | "scopes"
    | "metadata"
    | "labels"
    | "visibility"
    | "allowedCidrs"
    | "constraints"
    | "rateLimits"
    | "derivePolicy"
  >;
  readonly expiry: "default" | "never" | { readonly ttlMs: number } | { readonly timeMs: number };
}

/** Parses the fields that describe a new key. Notes violations, each under `at`, as `items[3].`. */
export function parseKeyDraft(violations: FieldViolations, request: KeyRequest, kind: KeyKind, at = ""): KeyDraft {
  checkText(violations, `${at}name`, request.name, nameBytesMax, 1);
  checkText(violations, `${at}owner_id`, request.ownerId, nameBytesMax);
  checkGrants(violations, `${at}scopes`, request.scopes);
  checkMetadata(violations, request.metadata, at);
  checkLabels(violations, request.labels, at);
  const allowedCidrs = parseNetworks(violations, `${at}allowed_cidrs`, request.allowedCidrs);
  const constraints = parseConstraints(violations, request.constraints, at);
  const expiry = parseExpiry(violations, request.expiration, at);
  const visibility = visibilityFromProto(request.visibility);
  violations.require(visibility !== undefined, `${at}visibility`, "is not a value that this version knows");
  if (visibility) checkReserved(violations, { kind, visibility }, request.scopes, at);
  const rateLimits = parseRateLimits(violations, request.rateLimits, `${at}rate_limits`);
  const derivePolicy = parseDerivePolicy(violations, request.derivePolicy, `${at}derive_policy`);
  return {
    fields: {
      name: request.name,
      ownerId: request.ownerId,
      scopes: [...new Set(request.scopes)],
      ...(request.metadata && { metadata: request.metadata }),
      labels: request.labels,
      visibility: visibility ?? "SECRET",
      allowedCidrs,
      constraints,
      ...(rateLimits.length > 0 && { rateLimits }),
      ...(derivePolicy && { derivePolicy }),
    },
    expiry,
  };
}

/** Notes reserved scopes that a key of this kind and visibility can't hold. */
export function checkReserved(
  violations: FieldViolations,
  key: Pick<ApiKey, "kind" | "visibility">,
  scopes: readonly string[],
  at = "",
): void {
  if (mayHoldReservedScopes(key)) return;
  const which = key.visibility === "PUBLIC" ? "a public" : "an imported";
  scopes.forEach((scope, i) => {
    violations.require(!isReserved(scope), `${at}scopes[${i}]`, `is reserved, which ${which} key can't hold`);
  });
}

/** Makes the key of a draft, ACTIVE. */
export function keyOfDraft(
  draft: KeyDraft,
  made: Pick<ApiKey, "id" | "tenantId" | "kind" | "prefix" | "createTimeMs" | "secretVersions" | "revision"> & {
    readonly expireTimeMs: number | undefined;
  },
): ApiKey {
  const { expireTimeMs, ...rest } = made;
  return {
    ...draft.fields,
    ...rest,
    state: "ACTIVE",
    updateTimeMs: made.createTimeMs,
    ...(expireTimeMs !== undefined && { expireTimeMs }),
    tokenEpoch: 0,
  };
}

function parseExpiry(
  violations: FieldViolations,
  expiration: KeyRequest["expiration"],
  at: string,
): KeyDraft["expiry"] {
  switch (expiration.case) {
    case undefined:
      return "default";
    case "neverExpires":
      violations.require(expiration.value, `${at}never_expires`, "must be true or absent");
      return "never";
    case "ttl": {
      const ttlMs = fromDuration(expiration.value);
      violations.require(
        ttlMs !== undefined && ttlMs >= 1000 && ttlMs <= ttlMsMax,
        `${at}ttl`,
        "must be 1 s to 3650 d",
      );
      return { ttlMs: ttlMs ?? 0 };
    }
    case "expireTime": {
      const timeMs = fromTimestamp(expiration.value);
      violations.require(
        timeMs !== undefined && timeMs < expireTimeMsMax,
        `${at}expire_time`,
        "must be before the year 9999",
      );
      return { timeMs: timeMs ?? 0 };
    }
  }
}

/** When the key ends, in ms; undefined: never. A tenant that doesn't allow "never" bounds every life by its default. */
export function chooseExpireTime(
  violations: FieldViolations,
  tenant: Tenant,
  expiry: KeyDraft["expiry"],
  nowMs: number,
  at = "",
): number | undefined {
  const { keyTtlSeconds, neverExpiresAllowed } = tenant.settings;
  const defaultEndMs = nowMs + keyTtlSeconds * 1000;
  if (expiry === "default") return defaultEndMs;
  if (expiry === "never") {
    violations.require(
      neverExpiresAllowed,
      at === "" ? "never_expires" : `${at}expire_time`,
      "is not allowed by the tenant",
    );
    return undefined;
  }
  const [field, endMs] =
    "ttlMs" in expiry ? (["ttl", nowMs + expiry.ttlMs] as const) : (["expire_time", expiry.timeMs] as const);
  violations.require(endMs > nowMs, at + field, "must be in the future");
  violations.require(
    neverExpiresAllowed || endMs <= defaultEndMs,
    at + field,
    `must be at most ${keyTtlSeconds} s from now in this tenant`,
  );
  return endMs;
}
