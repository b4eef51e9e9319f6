import { describe, expect, it } from "vitest";
import type { ApiKey } from "../../../services/core/api-key.ts";
import type { Peppers } from "../../../services/core/digest.ts";
import { defaultTenantSettings, type Tenant } from "../../../services/core/tenant.ts";
import { type SeenKey, SeenKeys, seenKeysBytesMax } from "../../../services/verification/seen-keys.ts";
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

/** Records that are at hand, of now. */
function recordsOf({ key }: Pick<SeenKey, "key">, ageMs = 0) {
  const now = { tenant: tenant as Tenant | undefined, key: key as ApiKey | undefined };
  const records = {
    knownTenant: () => ({ value: now.tenant, ageMs }),
    knownKey: () => (now.key === undefined ? undefined : { value: now.key, ageMs: 0 }),
  };
  return { now, records };
}

describe("SeenKeys", () => {
  it("knows a text again, by each of its characters", () => {
    const keys = new SeenKeys(peppersOf(somePepper(1)), recordsOf(seen, 700).records);
    keys.note("ichor_sk_right", seen);
    expect(keys.find("ichor_sk_right")).toEqual({ ...seen, ageMs: 700 });
    for (const other of ["ichor_sk_righ", "ichor_sk_righu", "Ichor_sk_right", "ichor_sk_right ", ""]) {
      expect(keys.find(other)).toBeUndefined();
    }
  });

  it("knows nothing whose records changed, or aren't at hand", () => {
    const { now, records } = recordsOf(seen);
    const keys = new SeenKeys(peppersOf(somePepper(1)), records);
    keys.note("a", seen);
    for (const other of [
      { key: { ...seen.key } },
      { key: undefined },
      { tenant: { ...tenant } },
      { tenant: undefined },
    ]) {
      Object.assign(now, { key: seen.key, tenant }, other);
      expect(keys.find("a")).toBeUndefined();
    }
    Object.assign(now, { key: seen.key, tenant });
    expect(keys.find("a")).toBeDefined();
  });

  it("knows nothing under another pepper than the current one, so that secrets are bound anew", () => {
    let current: Peppers = peppersOf(somePepper(1));
    const keys = new SeenKeys({ ...current, current: () => current.current() }, recordsOf(seen).records);
    keys.note("a", seen);
    current = peppersOf(somePepper(2), somePepper(1));
    expect(keys.find("a")).toBeUndefined();
    keys.note("b", seen);
    current = peppersOf(somePepper(1));
    expect(keys.find("b")).toBeUndefined();
  });

  it("holds large keys in bounded memory", () => {
    const large = { ...seen, key: someKey({ metadata: { text: "x".repeat(16_000) } }) };
    const keys = new SeenKeys(peppersOf(somePepper(1)), recordsOf(large).records);
    const count = Math.ceil(seenKeysBytesMax / 16_000);
    for (let i = 0; i < count; i++) keys.note(`large ${i}`, large);
    expect(keys.find("large 0")).toBeUndefined();
    expect(keys.find(`large ${count - 1}`)?.key).toBe(large.key);
  });
});
