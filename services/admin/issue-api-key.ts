import { AdminService } from "../../gen/ichor/v1/admin_service_pb.ts";
import { formatIssuedKey } from "../core/credential.ts";
import { issuedDigest } from "../core/digest.ts";
import { FieldViolations } from "../core/field-violations.ts";
import { newId } from "../core/ids.ts";
import type { Tenant } from "../core/tenant.ts";
import { insertKey } from "../mutation/mutate-key.ts";
import { pepperToBind } from "../mutation/pepper-to-bind.ts";
import type { Unary } from "../rpc/call.ts";
import { apiKeyToProto } from "../wire/api-key.ts";
import { checkRequestId } from "../wire/request-fields.ts";
import type { AdminDeps } from "./deps.ts";
import { chooseExpireTime, type KeyDraft, keyOfDraft, parseKeyDraft } from "./key-draft.ts";
import { openTenant, requireQuota } from "./key-quota.ts";

const secretBytes = 32;

/** IssueApiKey: makes a key and shows its credential, this once. */
export function issueApiKey(deps: AdminDeps): Unary<typeof AdminService.method.issueApiKey> {
  return async (request, call) => {
    const violations = new FieldViolations();
    const draft = parseKeyDraft(violations, request, "ISSUED_KEY");
    checkRequestId(violations, request.requestId);
    violations.throwIfAny();
    const createTimeMs = deps.now();
    const id = newId("key", createTimeMs, deps.random(10));
    const secret = deps.random(secretBytes);
    return insertKey(
      deps,
      call,
      AdminService.method.issueApiKey,
      request,
      async (tx, revision, nowMs) => {
        const tenant = await openTenant(tx, call.tenantId);
        const violations = new FieldViolations();
        const prefix = choosePrefix(violations, tenant, draft, request.prefix);
        const expireTimeMs = chooseExpireTime(violations, tenant, draft.expiry, nowMs);
        violations.throwIfAny();
        await requireQuota(tx, tenant, draft.fields.ownerId);
        const pepper = await pepperToBind(tx, deps.peppers);
        const digest = issuedDigest(pepper, tenant.id, id, secret);
        return keyOfDraft(draft, {
          id,
          tenantId: tenant.id,
          kind: "ISSUED_KEY",
          prefix,
          createTimeMs,
          expireTimeMs,
          secretVersions: [{ number: 1, digest, pepperId: pepper.id, createTimeMs }],
          revision,
        });
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

function choosePrefix(violations: FieldViolations, tenant: Tenant, { fields }: KeyDraft, wanted: string): string {
  const { secretPrefixes, publicPrefixes } = tenant.settings;
  const current = fields.visibility === "PUBLIC" ? publicPrefixes : secretPrefixes;
  const chosen = wanted === "" ? current[0] : current.find((prefix) => prefix === wanted);
  violations.require(chosen !== undefined, "prefix", `must be one of ${current.join(", ")}`);
  return chosen ?? "";
}
