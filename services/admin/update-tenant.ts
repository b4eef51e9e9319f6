import { AdminService } from "../../gen/ichor/v1/admin_service_pb.ts";
import { tenantDigest } from "../core/change-chain.ts";
import { IchorError } from "../core/errors.ts";
import { FieldViolations } from "../core/field-violations.ts";
import { keyIn, withTurn } from "../core/signing-key.ts";
import type { Tenant } from "../core/tenant.ts";
import { checkTenantSettings } from "../core/tenant-settings.ts";
import { findTenant } from "../mutation/find-tenant.ts";
import { runOnce } from "../mutation/run-once.ts";
import type { Unary } from "../rpc/call.ts";
import type { StoreTransaction } from "../store/port.ts";
import { checkRequestId, checkText, nameBytesMax } from "../wire/request-fields.ts";
import { checkKnownSettings, etagOfTenant, tenantToProto, updatedTenant } from "../wire/tenant.ts";
import type { AdminDeps } from "./deps.ts";

const { updateTenant: update } = AdminService.method;

/** UpdateTenant: another name, other settings; the settings are checked as a whole. */
export function updateTenant(deps: AdminDeps): Unary<typeof update> {
  return async (request, call) => {
    const violations = new FieldViolations();
    const { tenant: message, updateMask, etag } = request;
    violations.require(message !== undefined, "tenant", "must be set");
    checkKnownSettings(violations, message?.settings);
    checkRequestId(violations, request.requestId);
    violations.throwIfAny();
    if (message === undefined) throw new TypeError("unreachable");
    const idOrSlug = message.id || message.slug;
    const told = (tenant: Tenant, revision: bigint) => ({ tenant: tenantToProto(tenant, deps.issuer()), revision });
    return runOnce(deps, call, update, request, {
      work: async (tx, revision) => {
        const before = await findTenant(tx, idOrSlug);
        if (etag !== "" && etag !== etagOfTenant(before))
          throw new IchorError("ETAG_MISMATCH", "the tenant has changed since the etag was told");
        const faults = new FieldViolations();
        const changed = updatedTenant(faults, before, message, updateMask?.paths);
        checkText(faults, "tenant.name", changed.name, nameBytesMax, 1);
        checkTenantSettings(faults, changed.settings, "tenant.settings.");
        faults.throwIfAny();
        if (etagOfTenant(changed) === etagOfTenant(before))
          return { result: told(before, revision - 1n), unchanged: true };
        const after = { ...changed, updateTimeMs: deps.now() };
        await tx.updateTenant(after);
        await keepTurn(tx, before, after);
        return {
          result: told(after, revision),
          change: { kind: "tenant", tenantId: after.id, event: "changed" },
          target: after.id,
          beforeDigest: tenantDigest(before),
          afterDigest: tenantDigest(after),
        };
      },
      recall: async (tx, { revision }) => told(await findTenant(tx, idOrSlug), revision),
    });
  };
}

/** Another period is the active signing key's too. */
async function keepTurn(tx: StoreTransaction, before: Tenant, after: Tenant): Promise<void> {
  const { signingKeyPeriodSeconds } = after.settings;
  if (signingKeyPeriodSeconds === before.settings.signingKeyPeriodSeconds) return;
  const keys = await tx.tokens.listSigningKeys(after.id);
  if (keys.length === 0) return;
  await tx.tokens.putSigningKey(withTurn(keyIn(keys, "ACTIVE"), keyIn(keys, "NEXT"), signingKeyPeriodSeconds * 1000));
}
