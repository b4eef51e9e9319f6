import { describe, expect, it } from "vitest";
import type { JsonObject } from "../../../../services/core/api-key.ts";
import { IchorError } from "../../../../services/core/errors.ts";
import { FieldViolations } from "../../../../services/core/field-violations.ts";
import { checkCustomClaims } from "../../../../services/core/jwt/custom-claims.ts";
import { reservedClaims } from "../../../../services/core/jwt/reserved-claims.ts";

function refused(claims: JsonObject, allowed: readonly string[] | "any" = "any"): readonly string[] {
  const violations = new FieldViolations();
  checkCustomClaims(violations, claims, allowed);
  try {
    violations.throwIfAny();
    return [];
  } catch (error) {
    return error instanceof IchorError ? error.violations.map(({ field }) => field) : [String(error)];
  }
}

describe("custom claims", () => {
  it("are the admin's to choose", () => {
    expect(refused({ plan: "pro", "https://x.example/y": { z: [1, null] } })).toEqual([]);
  });

  it("are the holder's only if the derive policy lists them", () => {
    expect(refused({ plan: "pro", seat: 3 }, ["plan"])).toEqual(["custom_claims.seat"]);
    expect(refused({ plan: "pro" }, [])).toEqual(["custom_claims.plan"]);
    expect(refused({ "https://x.example/y": 1 }, [])).toEqual(['custom_claims["https://x.example/y"]']);
  });

  it.each([...reservedClaims].map((name) => [name]))("never set %s, even if a policy lists it", (name) => {
    expect(refused({ [name]: "x" })).toEqual([`custom_claims.${name}`]);
    expect(refused({ [name]: "x" }, [name])).toEqual([`custom_claims.${name}`]);
  });

  it("have names of their own case", () => {
    expect(refused({ Sub: "x", "": "y" })).toEqual(['custom_claims[""]']);
  });

  it("are at most 4 KiB as JSON", () => {
    expect(refused({ a: "x".repeat(4096 - 8) })).toEqual([]);
    expect(refused({ a: "x".repeat(4096 - 7) })).toEqual(["custom_claims"]);
    expect(refused({ a: "é".repeat(2045) })).toEqual(["custom_claims"]);
  });
});
