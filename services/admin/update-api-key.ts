import type { MessageShape } from "@bufbuild/protobuf";
import { AdminService } from "../../gen/ichor/v1/admin_service_pb.ts";
import type { ApiKeySchema } from "../../gen/ichor/v1/api_key_pb.ts";
import type { ApiKey } from "../core/api-key.ts";
import { IchorError } from "../core/errors.ts";
import { FieldViolations } from "../core/field-violations.ts";
import { requireNotRevoked } from "../core/key-life.ts";
import type { Tenant } from "../core/tenant.ts";
import { type KeyChanges, updateKey } from "../core/update-key.ts";
import { keyNotFound, mutateKey } from "../mutation/mutate-key.ts";
import type { Unary } from "../rpc/call.ts";
import { apiKeyToProto, etagOf } from "../wire/api-key.ts";
import { parseDerivePolicy } from "../wire/derive-policy.ts";
import { parseRateLimits } from "../wire/rate-limit.ts";
import {
  checkGrants,
  checkLabels,
  checkMetadata,
  checkRequestId,
  checkText,
  nameBytesMax,
  parseConstraints,
  parseKeyId,
  parseNetworks,
} from "../wire/request-fields.ts";
import { fromTimestamp } from "../wire/time.ts";
import type { AdminDeps } from "./deps.ts";
import { checkReserved, chooseExpireTime, expireTimeMsMax } from "./key-draft.ts";

type Message = MessageShape<typeof ApiKeySchema>;
type Parse = (violations: FieldViolations, message: Message) => KeyChanges;

const at = "api_key.";

/** UpdateApiKey: the fields of a mask, if the key is still the one that the caller saw. */
export function updateApiKey(deps: AdminDeps): Unary<typeof AdminService.method.updateApiKey> {
  return async (request, call) => {
    const keyId = parseKeyId(request.keyId);
    const violations = new FieldViolations();
    checkRequestId(violations, request.requestId);
    violations.require(request.apiKey !== undefined, "api_key", "must be set");
    violations.throwIfAny();
    if (request.apiKey === undefined) throw new TypeError("unreachable");
    const changes = parseChanges(violations, request.apiKey, request.updateMask?.paths);
    violations.throwIfAny();
    return mutateKey(deps, call, AdminService.method.updateApiKey, request, keyId, {
      event: "changed",
      change: async (key, nowMs, tx) => {
        requireNotRevoked(key);
        if (request.etag !== "" && request.etag !== etagOf(key)) {
          throw new IchorError("ETAG_MISMATCH", "the key has changed since the etag was told");
        }
        const tenant = await tx.getTenant(key.tenantId);
        if (tenant === undefined) throw keyNotFound();
        checkAgainst(key, tenant, changes, nowMs);
        return updateKey(key, changes, { keepDerived: request.keepDerived, nowMs });
      },
      respond: (key, revision, nowMs) => ({ apiKey: apiKeyToProto(key, nowMs), revision }),
      recall: (key, revision, nowMs) => ({ ...(key && { apiKey: apiKeyToProto(key, nowMs) }), revision }),
    });
  };
}

/** What can only be said of this key in its tenant. Throws INVALID_FIELD. */
function checkAgainst(key: ApiKey, tenant: Tenant, changes: KeyChanges, nowMs: number): void {
  const violations = new FieldViolations();
  if (changes.scopes !== undefined) checkReserved(violations, key, changes.scopes, at);
  if ("expireTimeMs" in changes && changes.expireTimeMs !== key.expireTimeMs) {
    const { expireTimeMs } = changes;
    chooseExpireTime(violations, tenant, expireTimeMs === undefined ? "never" : { timeMs: expireTimeMs }, nowMs, at);
  }
  violations.throwIfAny();
}

function parseChanges(violations: FieldViolations, message: Message, paths: readonly string[] | undefined): KeyChanges {
  const chosen = paths === undefined || paths.length === 0 ? fieldsSetIn(message) : paths.flatMap(expand);
  violations.require(chosen.length > 0, "update_mask", "must name a field, or api_key have one");
  let changes: KeyChanges = {};
  chosen.forEach((path, i) => {
    const parse = Object.hasOwn(fields, path) ? fields[path as FieldPath]?.parse : undefined;
    if (parse === undefined)
      violations.add(`update_mask.paths[${i}]`, `must be one of ${Object.keys(fields).join(", ")}`);
    else changes = { ...changes, ...parse(violations, message) };
  });
  return changes;
}

type FieldPath =
  | "name"
  | "scopes"
  | "metadata"
  | "labels"
  | "allowed_cidrs"
  | "constraints"
  | "rate_limits"
  | "expire_time"
  | "derive_policy";

/** Each field of the mask: whether a message has it set, and how it is parsed.  */
const fields: Readonly<Record<FieldPath, { readonly isSet: (message: Message) => boolean; readonly parse: Parse }>> = {
  name: {
    isSet: ({ name }) => name !== "",
    parse: (violations, { name }) => {
      checkText(violations, `${at}name`, name, nameBytesMax, 1);
      return { name };
    },
  },
  scopes: {
    isSet: ({ scopes }) => scopes.length > 0,
    parse: (violations, { scopes }) => {
      checkGrants(violations, `${at}scopes`, scopes);
      return { scopes: [...new Set(scopes)] };
    },
  },
  metadata: {
    isSet: ({ metadata }) => metadata !== undefined,
    parse: (violations, { metadata }) => {
      checkMetadata(violations, metadata, at);
      return { metadata };
    },
  },
  labels: {
    isSet: ({ labels }) => Object.keys(labels).length > 0,
    parse: (violations, { labels }) => {
      checkLabels(violations, labels, at);
      return { labels };
    },
  },
  allowed_cidrs: {
    isSet: ({ allowedCidrs }) => allowedCidrs.length > 0,
    parse: (violations, { allowedCidrs }) => ({
      allowedCidrs: parseNetworks(violations, `${at}allowed_cidrs`, allowedCidrs),
    }),
  },
  constraints: {
    isSet: ({ constraints }) => constraints !== undefined,
    parse: (violations, { constraints }) => ({ constraints: parseConstraints(violations, constraints, at) }),
  },
  rate_limits: {
    isSet: ({ rateLimits }) => rateLimits.length > 0,
    parse: (violations, message) => {
      const rateLimits = parseRateLimits(violations, message.rateLimits, `${at}rate_limits`);
      return { rateLimits: rateLimits.length > 0 ? rateLimits : undefined };
    },
  },
  expire_time: {
    isSet: ({ expireTime }) => expireTime !== undefined,
    parse: (violations, { expireTime }) => {
      const timeMs = expireTime && fromTimestamp(expireTime);
      violations.require(
        expireTime === undefined || (timeMs !== undefined && timeMs < expireTimeMsMax),
        `${at}expire_time`,
        "must be before the year 9999",
      );
      return { expireTimeMs: timeMs };
    },
  },
  derive_policy: {
    isSet: ({ derivePolicy }) => derivePolicy !== undefined,
    parse: (violations, { derivePolicy }) => ({
      derivePolicy: parseDerivePolicy(violations, derivePolicy, `${at}derive_policy`),
    }),
  },
};

function fieldsSetIn(message: Message): readonly string[] {
  return Object.entries(fields).flatMap(([path, { isSet }]) => (isSet(message) ? [path] : []));
}

function expand(path: string): readonly string[] {
  return path === "*" ? Object.keys(fields) : [path];
}
