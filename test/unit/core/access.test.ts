import { describe, expect, it } from "vitest";
import { actingTenant, requireCoversReserved, requireScope } from "../../../services/core/access.ts";
import type { Caller } from "../../../services/core/caller.ts";
import { IchorError } from "../../../services/core/errors.ts";
import { defaultTenantSlug, isTenantSlug } from "../../../services/core/tenant.ts";
import { otherTenantId, reasonOf, someCaller, someTenantId } from "./some-key.ts";

const root = someCaller({ inDefaultTenant: true, scopes: ["ichor:*"] });
const system = someCaller({ inDefaultTenant: true, scopes: ["ichor:system"] });
const rootElsewhere = someCaller({ scopes: ["ichor:*"] });

function thrownBy(work: () => unknown): Pick<IchorError, "reason" | "metadata"> | undefined {
  try {
    work();
  } catch (error) {
    if (error instanceof IchorError) return { reason: error.reason, metadata: error.metadata };
    throw error;
  }
  return undefined;
}

describe("requireScope", () => {
  it("lets pass who holds the scope or a pattern for it", () => {
    for (const scope of ["ichor:keys:read", "ichor:keys:*", "ichor:*"]) {
      expect(thrownBy(() => requireScope(someCaller({ scopes: [scope] }), "ichor:keys:read"))).toBeUndefined();
    }
  });

  it("throws SCOPE_MISSING and names the scope; a star doesn't reach it", () => {
    for (const scopes of [[], ["*"], ["ichor:keys:write"], ["ichor:tokens:*"]]) {
      expect(thrownBy(() => requireScope(someCaller({ scopes }), "ichor:keys:read"))).toEqual({
        reason: "SCOPE_MISSING",
        metadata: { scope: "ichor:keys:read" },
      });
    }
  });

  it.each(["ichor:tenants:read", "ichor:tenants:write", "ichor:system"])(
    "counts %s only in tenant default and with ichor:system",
    (scope) => {
      expect(reasonOf(() => requireScope(root, scope))).toBeUndefined();
      expect(reasonOf(() => requireScope({ ...system, scopes: [scope, "ichor:system"] }, scope))).toBeUndefined();
      expect(thrownBy(() => requireScope(rootElsewhere, scope))).toEqual({
        reason: "SCOPE_MISSING",
        metadata: { scope: "ichor:system" },
      });
      const without = { ...system, scopes: ["ichor:tenants:*"] };
      expect(reasonOf(() => requireScope(without, scope))).toBe("SCOPE_MISSING");
    },
  );
});

describe("actingTenant", () => {
  it("is the caller's own if no header was sent", () => {
    for (const caller of [root, someCaller()]) {
      expect(actingTenant(caller, undefined)).toEqual({ by: "id", tenantId: someTenantId });
    }
  });

  it("is what the header names, for a system caller of tenant default", () => {
    expect(actingTenant(root, otherTenantId)).toEqual({ by: "id", tenantId: otherTenantId });
    expect(actingTenant(system, "acme-2")).toEqual({ by: "slug", slug: "acme-2" });
  });

  it.each<[string, Caller]>([
    ["a root caller of another tenant", rootElsewhere],
    [
      "a caller of tenant default without ichor:system",
      someCaller({ inDefaultTenant: true, scopes: ["ichor:keys:*"] }),
    ],
    ["a caller with a star", someCaller({ inDefaultTenant: true, scopes: ["*"] })],
    ["a caller with nothing", someCaller()],
  ])("refuses the header of %s, whatever it names", (_, caller) => {
    for (const header of [otherTenantId, caller.tenantId, "default", "no-such-tenant", "", "\u0000"]) {
      expect(reasonOf(() => actingTenant(caller, header))).toBe("TENANT_NOT_ALLOWED");
    }
  });

  it.each(["", "Acme", "a_b", "ten_", otherTenantId.toUpperCase(), "a".repeat(64), "1a", " acme"])(
    "can't be %j",
    (header) => {
      expect(reasonOf(() => actingTenant(root, header))).toBe("TENANT_NOT_FOUND");
    },
  );

  it("never takes an id for a slug", () => {
    expect(isTenantSlug(someTenantId)).toBe(false);
    expect(isTenantSlug(defaultTenantSlug)).toBe(true);
  });
});

describe("requireCoversReserved", () => {
  it("lets pass ordinary scopes, and reserved ones that the caller has", () => {
    expect(thrownBy(() => requireCoversReserved(someCaller(), ["a", "*"], []))).toBeUndefined();
    expect(thrownBy(() => requireCoversReserved(root, ["ichor:*"], ["ichor:keys:read"]))).toBeUndefined();
  });

  it("throws for a reserved scope that the key has or would get, and names it", () => {
    const caller = someCaller({ scopes: ["ichor:keys:*", "*"] });
    const expected = { reason: "RESERVED_SCOPE_NOT_COVERED", metadata: { scope: "ichor:audit:read" } };
    expect(thrownBy(() => requireCoversReserved(caller, ["ichor:keys:read", "ichor:audit:read"]))).toEqual(expected);
    expect(thrownBy(() => requireCoversReserved(caller, ["a"], ["ichor:audit:read"]))).toEqual(expected);
  });
});
