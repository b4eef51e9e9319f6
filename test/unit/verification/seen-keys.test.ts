import { describe, expect, it } from "vitest";
import type { Peppers } from "../../../services/core/digest.ts";
import { defaultTenantSettings, type Tenant } from "../../../services/core/tenant.ts";
import { SeenKeys, seenKeysBytesMax } from "../../../services/verification/seen-keys.ts";
import { peppersOf, someKey, somePepper, someTenantId, someVersion } from "../core/some-key.ts";

const tenant: Tenant = {
  id: someTenantId,
  slug: "acme",
  name: "Acme",
  state: "ACTIVE",
  settings: defaultTenantSettings,
  createTimeMs: 0,
  updateTimeMs: 0,
};
const version = someVersion({ pepperId: "pepper-1" });
const seen = { tenant, key: someKey(), version };

describe("SeenKeys", () => {
  it("knows a text again, by each of its characters", () => {
    const keys = new SeenKeys(peppersOf(somePepper(1)));
    keys.note("ichor_sk_right", seen);
    expect(keys.find("ichor_sk_right")).toBe(seen);
    for (const other of ["ichor_sk_righ", "ichor_sk_righu", "Ichor_sk_right", "ichor_sk_right ", ""]) {
      expect(keys.find(other)).toBeUndefined();
    }
  });

  it("knows nothing under another pepper than the current one, so that secrets are bound anew", () => {
    let current: Peppers = peppersOf(somePepper(1));
    const keys = new SeenKeys({ ...current, current: () => current.current() });
    keys.note("a", seen);
    current = peppersOf(somePepper(2), somePepper(1));
    expect(keys.find("a")).toBeUndefined();
    keys.note("b", seen);
    current = peppersOf(somePepper(1));
    expect(keys.find("b")).toBeUndefined();
  });

  it("holds large keys in bounded memory", () => {
    const keys = new SeenKeys(peppersOf(somePepper(1)));
    const large = { ...seen, key: someKey({ metadata: { text: "x".repeat(16_000) } }) };
    const count = Math.ceil(seenKeysBytesMax / 16_000);
    for (let i = 0; i < count; i++) keys.note(`large ${i}`, large);
    expect(keys.find("large 0")).toBeUndefined();
    expect(keys.find(`large ${count - 1}`)).toBe(large);
  });
});
