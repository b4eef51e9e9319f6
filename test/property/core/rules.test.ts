import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type CanonicalValue, canonicalJson } from "../../../services/core/canonical-json.ts";
import { liveVersions, rotateKey, versionLive } from "../../../services/core/key-life.ts";
import {
  covers,
  coversAll,
  grantCoversGrant,
  intersectScopes,
  isGrant,
  isReserved,
  isScope,
  reservedScopesNotCovered,
} from "../../../services/core/scopes.ts";
import { clearKey } from "../../../services/core/verification.ts";
import { hourMs, madeMs, someKey, someVersion } from "../../unit/core/some-key.ts";

const seeded = { seed: 0x1c408, numRuns: 2_000 };

// Few segments, so that scopes meet often.
const segment = fc.constantFrom("a", "b", "ichor", "keys", "verify", "aud");
const scope = fc.array(segment, { minLength: 1, maxLength: 4 }).map((segments) => segments.join(":"));
const grant = fc.oneof(
  scope,
  scope.map((text) => `${text}:*`).filter(isGrant),
  fc.constant("*"),
  fc.constant("ichor:*"),
);
const grants = fc.array(grant, { maxLength: 4 });

describe("scopes", () => {
  it("are generated as valid ones here", () => {
    fc.assert(
      fc.property(scope, grant, (s, g) => isScope(s) && isGrant(g)),
      seeded,
    );
  });

  it("are covered transitively", () => {
    fc.assert(
      fc.property(grant, grant, grant, scope, (a, b, c, required) => {
        if (grantCoversGrant(a, b) && covers(b, required)) expect(covers(a, required)).toBe(true);
        if (grantCoversGrant(a, b) && grantCoversGrant(b, c)) expect(grantCoversGrant(a, c)).toBe(true);
      }),
      seeded,
    );
  });

  it("are covered by a wider grant for each one that a narrower grant covers, even one not thought of", () => {
    fc.assert(
      fc.property(grant, grant, (wider, narrower) => {
        const unthoughtOf = narrower.replace(/\*$/, "zz");
        expect(grantCoversGrant(wider, narrower)).toBe(covers(wider, unthoughtOf));
      }),
      seeded,
    );
  });

  it("are reserved if and only if no pattern outside ichor reaches them", () => {
    fc.assert(
      fc.property(scope, grant, (required, pattern) => {
        if (isReserved(required) && covers(pattern, required)) expect(isReserved(pattern)).toBe(true);
        expect(covers("*", required)).toBe(!isReserved(required));
      }),
      seeded,
    );
  });

  it("are covered by an intersection exactly if both lists cover them, so it is never wider than either", () => {
    fc.assert(
      fc.property(grants, grants, scope, (a, b, required) => {
        const both = intersectScopes(a, b);
        expect(coversAll(both, [required])).toBe(coversAll(a, [required]) && coversAll(b, [required]));
        expect(both.every(isGrant)).toBe(true);
      }),
      seeded,
    );
  });

  it("stay uncovered for a caller that could not itself pass a demand for them", () => {
    fc.assert(
      fc.property(grants, grants, scope, (caller, key, required) => {
        if (reservedScopesNotCovered(caller, key).length > 0 || !isReserved(required)) return;
        if (coversAll(key, [required])) expect(coversAll(caller, [required])).toBe(true);
      }),
      seeded,
    );
  });
});

describe("clearing", () => {
  it("is never widened by constraints on scopes", () => {
    fc.assert(
      fc.property(grants, grants, fc.array(scope, { maxLength: 3 }), (granted, narrowing, requiredScopes) => {
        const situation = {
          version: someVersion(),
          tenant: { state: "ACTIVE" },
          demand: { requiredScopes, context: {} },
          nowMs: madeMs,
        } as const;
        const free = clearKey({ ...situation, key: someKey({ scopes: granted }) });
        const bound = clearKey({ ...situation, key: someKey({ scopes: granted, constraints: { scopes: narrowing } }) });
        if (free !== "VALID") expect(bound).not.toBe("VALID");
        const effective = intersectScopes(granted, narrowing);
        expect(bound === "VALID").toBe(coversAll(effective, requiredScopes));
      }),
      seeded,
    );
  });
});

describe("rotation", () => {
  const rotations = fc.array(
    fc.record({
      afterMs: fc.integer({ min: 0, max: 40 * hourMs }),
      gracePeriodMs: fc.constantFrom(0, hourMs, 24 * hourMs, 720 * hourMs),
    }),
    { minLength: 1, maxLength: 9 },
  );

  it("never lets a secret live longer than it was to, nor beyond the key, and keeps versions in order", () => {
    fc.assert(
      fc.property(rotations, fc.integer({ min: 400 * hourMs, max: 900 * hourMs }), (steps, lifeMs) => {
        const expireTimeMs = madeMs + lifeMs;
        let key = someKey({ expireTimeMs });
        let nowMs = madeMs;
        for (const { afterMs, gracePeriodMs } of steps) {
          nowMs += afterMs;
          const before = key;
          const rotation = {
            digest: new Uint8Array(32),
            pepperId: "pepper-1",
            nowMs,
            gracePeriodMs,
            revokeDerived: false,
          };
          key = rotateKey(before, rotation);
          for (const [i, version] of key.secretVersions.entries()) {
            if (i === 0) continue;
            const earlier = before.secretVersions.find(({ number }) => number === version.number);
            const end = version.graceEndTimeMs as number;
            expect(end).toBeLessThanOrEqual(Math.min(earlier?.graceEndTimeMs ?? expireTimeMs, expireTimeMs));
            expect(end).toBeLessThanOrEqual(nowMs + gracePeriodMs);
          }
          const dropped = before.secretVersions.filter(
            ({ number }) => !key.secretVersions.some((v) => v.number === number),
          );
          expect(dropped.some((version) => versionLive(version, nowMs))).toBe(false);
          const numbers = key.secretVersions.map(({ number }) => number);
          expect(numbers).toEqual([...numbers].sort((a, b) => b - a));
          expect(liveVersions(key, nowMs)[0]).toBe(key.secretVersions[0]);
        }
      }),
      { ...seeded, numRuns: 300 },
    );
  });
});

describe("canonical JSON", () => {
  const json = fc.jsonValue() as fc.Arbitrary<CanonicalValue>;

  it("is JSON of the same value, and its own canonical text", () => {
    fc.assert(
      fc.property(json, (value) => {
        const text = canonicalJson(value);
        const read = JSON.parse(text) as CanonicalValue;
        expect(read).toEqual(JSON.parse(JSON.stringify(value)));
        expect(canonicalJson(read)).toBe(text);
      }),
      { ...seeded, numRuns: 300 },
    );
  });
});
