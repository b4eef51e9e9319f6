import { describe, expect, it } from "vitest";
import { IchorError } from "../../../services/core/errors.ts";
import type { SigningKeyId } from "../../../services/core/ids.ts";
import {
  activated,
  compromised,
  dueStep,
  keyIn,
  removed,
  rotated,
  type SigningKey,
  signingKeyLeadMs,
  tokenMemoryMs,
} from "../../../services/core/signing-key.ts";
import { someTenantId } from "./some-key.ts";

const day = 86_400_000;
const periodMs = 30 * day;

function someSigningKey(name: string, createTimeMs: number): SigningKey {
  return {
    id: `sig_${name}` as SigningKeyId,
    tenantId: someTenantId,
    kid: name,
    algorithm: "EdDSA",
    state: "NEXT",
    publicJwk: { kty: "OKP" },
    createTimeMs,
  };
}

const next = someSigningKey("b", 0);
const active = activated(someSigningKey("a", 0), next, 0, periodMs);
const keys = [active, next];

/** The keys after a step. */
const keysAfter = (step: { readonly changed: readonly SigningKey[] } | undefined, before = keys) => {
  const byId = new Map([...before, ...(step?.changed ?? [])].map((key) => [key.id, key]));
  return [...byId.values()];
};

describe("a rotation", () => {
  it("makes NEXT sign, publishes another NEXT, and keeps the retired one until its last token has ended", () => {
    const step = rotated(keys, someSigningKey("c", periodMs), { nowMs: periodMs, periodMs, force: false });
    const [a, b, c] = keysAfter(step) as [SigningKey, SigningKey, SigningKey];
    expect([a.state, b.state, c.state]).toEqual(["RETIRED", "ACTIVE", "NEXT"]);
    expect(a).toMatchObject({ retireTimeMs: periodMs, removeTimeMs: periodMs + tokenMemoryMs });
    expect(b).toMatchObject({ activateTimeMs: periodMs, dueTimeMs: 2 * periodMs });
    expect(step.forgotten).toEqual([a]);
    expect(tokenMemoryMs).toBeGreaterThan(day);
  });

  it("is refused before NEXT was published for the lead, unless forced; then its successor gets its lead", () => {
    const fresh = someSigningKey("c", 1000);
    const at = { nowMs: signingKeyLeadMs - 1, periodMs: day, force: false };
    expect(() => rotated(keys, fresh, at)).toThrow(IchorError);
    const forced = rotated(keys, someSigningKey("c", at.nowMs), { ...at, force: true });
    expect(keyIn(keysAfter(forced), "ACTIVE").dueTimeMs).toBe(at.nowMs + signingKeyLeadMs);
    rotated(keys, fresh, { ...at, nowMs: signingKeyLeadMs });
  });

  it("is due when the period is over, and not before", () => {
    expect(dueStep(active, periodMs - 1)).toBeUndefined();
    expect(dueStep(active, periodMs)).toBe("rotate");
    expect(dueStep(next, 100 * periodMs)).toBeUndefined();
  });
});

describe("a compromised key", () => {
  const times = { nowMs: 1000, periodMs };

  it("that was ACTIVE is replaced by NEXT at once, however young, and ceases to be published", () => {
    const step = compromised(keys, active.id, someSigningKey("c", 1000), times);
    expect(keysAfter(step).map(({ state }) => state)).toEqual(["COMPROMISED", "ACTIVE", "NEXT"]);
    expect(keysAfter(step)[0]).toMatchObject({ retireTimeMs: 1000, removeTimeMs: 1000 });
    expect(keysAfter(step)[0]?.dueTimeMs).toBeUndefined();
  });

  it("that was NEXT is replaced, and the active one waits until its successor has its lead", () => {
    const late = { nowMs: periodMs - 1000, periodMs };
    const step = compromised(keys, next.id, someSigningKey("c", late.nowMs), late);
    expect(keysAfter(step).map(({ state }) => state)).toEqual(["ACTIVE", "COMPROMISED", "NEXT"]);
    expect(keyIn(keysAfter(step), "ACTIVE").dueTimeMs).toBe(late.nowMs + signingKeyLeadMs);
  });

  it("that was RETIRED changes nothing else; again changes nothing at all", () => {
    const retired = keysAfter(rotated(keys, someSigningKey("c", 5), { nowMs: periodMs, periodMs, force: false }));
    const step = compromised(retired, active.id, someSigningKey("d", 6), { ...times, nowMs: periodMs + 1 });
    expect(step?.changed.map(({ id }) => id)).toEqual([active.id]);
    expect(compromised(keysAfter(step, retired), active.id, someSigningKey("e", 7), times)).toBeUndefined();
  });
});

it("a retired key is removed once its last token has ended, and not before", () => {
  const retired = keysAfter(rotated(keys, someSigningKey("c", 5), { nowMs: periodMs, periodMs, force: false }));
  expect(removed(retired, periodMs + tokenMemoryMs - 1)).toBeUndefined();
  const step = removed(retired, periodMs + tokenMemoryMs);
  expect(step?.changed.map(({ id, state }) => [id, state])).toEqual([[active.id, "REMOVED"]]);
  expect(removed(keysAfter(step, retired), 100 * periodMs)).toBeUndefined();
});
