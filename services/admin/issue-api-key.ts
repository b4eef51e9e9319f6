import type { MessageShape } from "@bufbuild/protobuf";
import { AdminService, type IssueApiKeyRequestSchema } from "../../gen/ichor/v1/admin_service_pb.ts";
import type { ApiKey } from "../core/api-key.ts";
import { formatIssuedKey } from "../core/credential.ts";
import { issuedDigest } from "../core/digest.ts";
import { IchorError } from "../core/errors.ts";
import { FieldViolations } from "../core/field-violations.ts";
import { newId } from "../core/ids.ts";
import { mayHoldReservedScopes } from "../core/key-life.ts";
import { isReserved } from "../core/scopes.ts";
import type { Tenant } from "../core/tenant.ts";
import { insertKey } from "../mutation/mutate-key.ts";
import type { Unary } from "../rpc/call.ts";
import { apiKeyToProto } from "../wire/api-key.ts";
import { parseDerivePolicy } from "../wire/derive-policy.ts";
import { visibilityFromProto } from "../wire/enums.ts";
import {
  checkGrants,
  checkLabels,
  checkMetadata,
  checkRequestId,
  checkText,
  nameBytesMax,
  parseConstraints,
  parseNetworks,
} from "../wire/request-fields.ts";
import { fromDuration, fromTimestamp } from "../wire/time.ts";
import type { AdminDeps } from "./deps.ts";

const ttlMsMax = 3650 * 86_400_000;
const expireTimeMsMax = Date.UTC(9999, 0, 1);
const secretBytes = 32;

type Request = MessageShape<typeof IssueApiKeyRequestSchema>;

/** What a request asks for, as far as it can be said without the tenant. */
type KeyDraft = Pick<
  ApiKey,
  "name" | "ownerId" | "scopes" | "metadata" | "labels" | "visibility" | "allowedCidrs" | "constraints" | "derivePolicy"
> & {
  readonly prefix: string;
  readonly expiry: "default" | "never" | { readonly ttlMs: number } | { readonly timeMs: number };
};

/** IssueApiKey: makes a key and shows its credential, this once. */
export function issueApiKey(deps: AdminDeps): Unary<typeof AdminService.method.issueApiKey> {
  return async (request, call) => {
    const draft = parseDraft(request);
    const id = newId("key", deps.now(), deps.random(10));
    const secret = deps.random(secretBytes);
    return insertKey(
      deps,
      call,
      AdminService.method.issueApiKey,
      request,
      async (tx, revision, nowMs) => {
        const tenant = await tx.getTenant(call.tenantId);
        if (tenant === undefined) throw new IchorError("TENANT_NOT_FOUND", "no such tenant");
        if (tenant.state === "DISABLED") throw new IchorError("TENANT_DISABLED", "the tenant is disabled");
        const { prefix, expiry: _expiry, ...fields } = draft;
        const violations = new FieldViolations();
        const chosenPrefix = choosePrefix(violations, tenant, draft);
        const expireTimeMs = chooseExpireTime(violations, tenant, draft.expiry, nowMs);
        violations.throwIfAny();
        const pepper = deps.peppers.current();
        return {
          ...fields,
          id,
          tenantId: tenant.id,
          state: "ACTIVE",
          kind: "ISSUED_KEY",
          prefix: chosenPrefix,
          createTimeMs: nowMs,
          updateTimeMs: nowMs,
          ...(expireTimeMs !== undefined && { expireTimeMs }),
          tokenEpoch: 0,
          secretVersions: [
            {
              number: 1,
              digest: issuedDigest(pepper, tenant.id, id, secret),
              pepperId: pepper.id,
              createTimeMs: nowMs,
            },
          ],
          revision,
        };
      },
      {
        respond: (key, revision, nowMs) => ({
          apiKey: apiKeyToProto(key, nowMs),
          credential: formatIssuedKey(key.prefix, key.id, secret),
          revision,
        }),
        recall: (key, revision, nowMs) => ({ ...(key && { apiKey: apiKeyToProto(key, nowMs) }), revision }),
      },
    );
  };
}

function parseDraft(request: Request): KeyDraft {
  const violations = new FieldViolations();
  checkText(violations, "name", request.name, nameBytesMax, 1);
  checkText(violations, "owner_id", request.ownerId, nameBytesMax);
  checkGrants(violations, "scopes", request.scopes);
  checkMetadata(violations, request.metadata);
  checkLabels(violations, request.labels);
  checkRequestId(violations, request.requestId);
  const allowedCidrs = parseNetworks(violations, "allowed_cidrs", request.allowedCidrs);
  const constraints = parseConstraints(violations, request.constraints);
  const expiry = parseExpiry(violations, request.expiration);
  const visibility = visibilityFromProto(request.visibility);
  violations.require(visibility !== undefined, "visibility", "is not a value that this version knows");
  if (visibility && !mayHoldReservedScopes({ kind: "ISSUED_KEY", visibility })) {
    request.scopes.forEach((scope, i) => {
      violations.require(!isReserved(scope), `scopes[${i}]`, "is reserved, which a public key can't hold");
    });
  }
  violations.require(request.rateLimits.length === 0, "rate_limits", "is not enforced by this version");
  const derivePolicy = parseDerivePolicy(violations, request.derivePolicy, "derive_policy");
  violations.throwIfAny();
  return {
    name: request.name,
    ownerId: request.ownerId,
    scopes: [...new Set(request.scopes)],
    ...(request.metadata && { metadata: request.metadata }),
    labels: request.labels,
    visibility: visibility ?? "SECRET",
    allowedCidrs,
    constraints,
    ...(derivePolicy && { derivePolicy }),
    prefix: request.prefix,
    expiry,
  };
}

function parseExpiry(violations: FieldViolations, expiration: Request["expiration"]): KeyDraft["expiry"] {
  switch (expiration.case) {
    case undefined:
      return "default";
    case "neverExpires":
      violations.require(expiration.value, "never_expires", "must be true or absent");
      return "never";
    case "ttl": {
      const ttlMs = fromDuration(expiration.value);
      violations.require(ttlMs !== undefined && ttlMs >= 1000 && ttlMs <= ttlMsMax, "ttl", "must be 1 s to 3650 d");
      return { ttlMs: ttlMs ?? 0 };
    }
    case "expireTime": {
      const timeMs = fromTimestamp(expiration.value);
      violations.require(
        timeMs !== undefined && timeMs < expireTimeMsMax,
        "expire_time",
        "must be before the year 9999",
      );
      return { timeMs: timeMs ?? 0 };
    }
  }
}

function choosePrefix(violations: FieldViolations, tenant: Tenant, draft: KeyDraft): string {
  const { secretPrefixes, publicPrefixes } = tenant.settings;
  const current = draft.visibility === "PUBLIC" ? publicPrefixes : secretPrefixes;
  const chosen = draft.prefix === "" ? current[0] : current.find((prefix) => prefix === draft.prefix);
  violations.require(chosen !== undefined, "prefix", `must be one of ${current.join(", ")}`);
  return chosen ?? "";
}

/** When the key ends, in ms; undefined: never. A tenant that doesn't allow "never" bounds every life by its default. */
function chooseExpireTime(
  violations: FieldViolations,
  tenant: Tenant,
  expiry: KeyDraft["expiry"],
  nowMs: number,
): number | undefined {
  const { keyTtlSeconds, neverExpiresAllowed } = tenant.settings;
  const defaultEndMs = nowMs + keyTtlSeconds * 1000;
  if (expiry === "default") return defaultEndMs;
  if (expiry === "never") {
    violations.require(neverExpiresAllowed, "never_expires", "is not allowed by the tenant");
    return undefined;
  }
  const [field, endMs] =
    "ttlMs" in expiry ? (["ttl", nowMs + expiry.ttlMs] as const) : (["expire_time", expiry.timeMs] as const);
  violations.require(endMs > nowMs, field, "must be in the future");
  violations.require(
    neverExpiresAllowed || endMs <= defaultEndMs,
    field,
    `must be at most ${keyTtlSeconds} s from now in this tenant`,
  );
  return endMs;
}
