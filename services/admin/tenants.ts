import { AdminService } from "../../gen/ichor/v1/admin_service_pb.ts";
import { tenantDigest } from "../core/change-chain.ts";
import { IchorError } from "../core/errors.ts";
import { FieldViolations } from "../core/field-violations.ts";
import { newId } from "../core/ids.ts";
import {
  defaultTenantSettings,
  defaultTenantSlug,
  isTenantSlug,
  type Tenant,
  type TenantState,
} from "../core/tenant.ts";
import { checkTenantSettings } from "../core/tenant-settings.ts";
import { findTenant } from "../mutation/find-tenant.ts";
import { type Repeatable, runOnce } from "../mutation/run-once.ts";
import type { Unary } from "../rpc/call.ts";
import { checkRequestId, checkText, nameBytesMax, requireRequestId } from "../wire/request-fields.ts";
import { checkKnownSettings, settingsFromProto, tenantToProto } from "../wire/tenant.ts";
import type { AdminDeps } from "./deps.ts";
import { openPageToken, parsePageSize, sealPageToken } from "./page-token.ts";

const { createTenant: create, getTenant: get, listTenants: list } = AdminService.method;
const { disableTenant: disable, enableTenant: enable } = AdminService.method;

const pageSizeDefault = 50;
const pageTokenPlace = ["ListTenants"];

/** CreateTenant: a tenant with signing keys of its own. */
export function createTenant(deps: AdminDeps): Unary<typeof create> {
  return async (request, call) => {
    const { slug, name } = request;
    const settings = settingsFromProto(request.settings, defaultTenantSettings);
    const violations = new FieldViolations();
    violations.require(isTenantSlug(slug), "slug", "must match [a-z][a-z0-9-]{0,62}");
    checkText(violations, "name", name, nameBytesMax, 1);
    checkKnownSettings(violations, request.settings);
    checkTenantSettings(violations, settings, "settings.");
    checkRequestId(violations, request.requestId);
    violations.throwIfAny();
    const nowMs = deps.now();
    const id = newId("ten", nowMs, deps.random(10));
    const tenant: Tenant = { id, slug, name, state: "ACTIVE", settings, createTimeMs: nowMs, updateTimeMs: nowMs };
    const insertKeys = await deps.keyring.firstKeys(tenant);
    return runOnce(deps, call, create, request, {
      work: async (tx, revision) => {
        if ((await tx.getTenantBySlug(slug)) !== undefined)
          throw new IchorError("TENANT_ALREADY_EXISTS", "there is a tenant of this slug");
        await tx.insertTenant(tenant);
        await insertKeys(tx);
        return {
          result: { tenant: tenantToProto(tenant, deps.issuer()), revision },
          change: { kind: "tenant", tenantId: id, event: "created" },
          target: id,
          afterDigest: tenantDigest(tenant),
        };
      },
      recall: async (tx, { revision }) => ({
        tenant: tenantToProto(await findTenant(tx, slug), deps.issuer()),
        revision,
      }),
    });
  };
}

/** GetTenant: a tenant, whatever its state. */
export function getTenant(deps: AdminDeps): Unary<typeof get> {
  return async ({ tenant }) => ({ tenant: tenantToProto(await findTenant(deps.store, tenant), deps.issuer()) });
}

/** ListTenants: a page of tenants, by slug. The page token is the last slug, sealed. */
export function listTenants(deps: AdminDeps): Unary<typeof list> {
  return async ({ pageSize, pageToken }) => {
    const violations = new FieldViolations();
    const size = parsePageSize(violations, pageSize, pageSizeDefault);
    const afterSlug = openPageToken<string>(violations, deps.sealer, pageTokenPlace, pageToken);
    violations.throwIfAny();
    const found = await deps.store.listTenants(afterSlug ?? "", size + 1);
    const page = found.slice(0, size);
    const last = found.length > size ? page.at(-1) : undefined;
    return {
      tenants: page.map((tenant) => tenantToProto(tenant, deps.issuer())),
      nextPageToken: last === undefined ? "" : sealPageToken(deps.sealer, pageTokenPlace, last.slug),
    };
  };
}

/** DisableTenant: suspends a tenant and all that it issued. */
export function disableTenant(deps: AdminDeps): Unary<typeof disable> {
  return async (request, call) => {
    requireRequestId(request.requestId);
    return runOnce(deps, call, disable, request, changeState(deps, request.tenant, "DISABLED"));
  };
}

/** EnableTenant: resumes a suspended tenant. */
export function enableTenant(deps: AdminDeps): Unary<typeof enable> {
  return async (request, call) => {
    requireRequestId(request.requestId);
    return runOnce(deps, call, enable, request, changeState(deps, request.tenant, "ACTIVE"));
  };
}

function changeState(
  deps: AdminDeps,
  idOrSlug: string,
  state: TenantState,
): Repeatable<{ tenant: ReturnType<typeof tenantToProto>; revision: bigint }> {
  const told = (tenant: Tenant, revision: bigint) => ({ tenant: tenantToProto(tenant, deps.issuer()), revision });
  return {
    work: async (tx, revision) => {
      const before = await findTenant(tx, idOrSlug);
      if (before.slug === defaultTenantSlug && state === "DISABLED")
        throw new IchorError("DEFAULT_TENANT", "tenant default can't be disabled");
      if (before.state === state) return { result: told(before, revision - 1n), unchanged: true };
      const after: Tenant = { ...before, state, updateTimeMs: deps.now() };
      await tx.updateTenant(after);
      return {
        result: told(after, revision),
        change: { kind: "tenant", tenantId: after.id, event: state === "DISABLED" ? "disabled" : "enabled" },
        target: after.id,
        beforeDigest: tenantDigest(before),
        afterDigest: tenantDigest(after),
      };
    },
    recall: async (tx, { revision }) => told(await findTenant(tx, idOrSlug), revision),
  };
}
