import { describe, expect, it } from "vitest";
import type { Constraints } from "../../../services/core/constraints.ts";
import { deriveGrant } from "../../../services/core/derive-grant.ts";
import { IchorError } from "../../../services/core/errors.ts";
import { allowsNothing, intersect, isNarrower, widerFields } from "../../../services/core/narrower.ts";

const equals = (value: string): Constraints => ({ contextEquals: { a: value } });
const prefix = (value: string): Constraints => ({ contextPrefixes: { a: value } });

describe("intersect", () => {
  it.each<readonly [string, Constraints, Constraints, Constraints]>([
    ["nothing with nothing", {}, {}, {}],
    ["one side only", { scopes: ["a"] }, { cidrs: ["10.0.0.0/8"] }, { scopes: ["a"], cidrs: ["10.0.0.0/8"] }],
    [
      "times",
      { notBeforeMs: 1, expireTimeMs: 9 },
      { notBeforeMs: 2, expireTimeMs: 8 },
      { notBeforeMs: 2, expireTimeMs: 8 },
    ],
    ["audiences", { audiences: ["a", "b"] }, { audiences: ["b", "c"] }, { audiences: ["b"] }],
    ["disjoint audiences", { audiences: ["a"] }, { audiences: ["b"] }, { audiences: [] }],
    ["scopes", { scopes: ["a:*", "b"] }, { scopes: ["a:b", "a:c:*", "*"] }, { scopes: ["a:b", "a:c:*", "a:*", "b"] }],
    ["reserved scopes and *", { scopes: ["*"] }, { scopes: ["ichor:*", "ichor:keys:read"] }, { scopes: [] }],
    [
      "networks",
      { cidrs: ["10.0.0.0/8"] },
      { cidrs: ["10.1.0.0/16", "0.0.0.0/0"] },
      { cidrs: ["10.0.0.0/8", "10.1.0.0/16"] },
    ],
    ["IPv4 and IPv6", { cidrs: ["0.0.0.0/0"] }, { cidrs: ["::/0"] }, { cidrs: [] }],
    ["equal values", equals("x"), equals("x"), equals("x")],
    ["a value that begins with the prefix", equals("xy"), prefix("x"), equals("xy")],
    ["nested prefixes", prefix("x"), prefix("xy"), prefix("xy")],
    ["an empty prefix, which asks that the name be there", prefix(""), {}, prefix("")],
  ])("gives what both allow: %s", (_what, a, b, both) => {
    expect(intersect(a, b)).toEqual(both);
  });

  it.each<readonly [string, Constraints, Constraints]>([
    ["two values", equals("x"), equals("y")],
    ["two values, one the beginning of the other", equals("x"), equals("xy")],
    ["a value that doesn't begin with the prefix", equals("x"), prefix("y")],
    ["a value shorter than the prefix", equals("x"), prefix("xy")],
    ["prefixes that are not nested", prefix("x"), prefix("y")],
  ])("keeps a contradiction, whatever is added: %s", (_what, a, b) => {
    for (const both of [intersect(a, b), intersect(b, a)]) {
      expect(allowsNothing(both)).toBe(true);
      for (const more of [a, b, equals("x"), prefix("x"), prefix(""), equals("zzz")]) {
        expect(allowsNothing(intersect(both, more))).toBe(true);
        expect(allowsNothing(intersect(more, both))).toBe(true);
      }
    }
  });

  it("takes only own members for rules on the context", () => {
    const parent: Constraints = { contextPrefixes: { constructor: "x" } as unknown as Record<string, string> };
    expect(isNarrower({ contextEquals: {} }, parent)).toBe(false);
    expect(intersect({}, parent)).toEqual(parent);
    expect(intersect(equals("x"), parent)).toEqual({ ...equals("x"), ...parent });
  });
});

describe("isNarrower", () => {
  const parent: Constraints = {
    notBeforeMs: 10,
    expireTimeMs: 20,
    audiences: ["a", "b"],
    scopes: ["s:*"],
    cidrs: ["10.0.0.0/8"],
    contextEquals: { e: "x" },
    contextPrefixes: { p: "/a/" },
  };

  it("takes the parent itself and what has more rules", () => {
    expect(isNarrower(parent, parent)).toBe(true);
    expect(isNarrower({ ...parent, contextEquals: { e: "x", f: "y" } }, parent)).toBe(true);
    expect(isNarrower({ ...parent, contextEquals: { e: "x", p: "/a/b" }, contextPrefixes: {} }, parent)).toBe(true);
    expect(
      isNarrower({ ...parent, cidrs: ["10.1.0.0/16", "::ffff:10.2.0.0/120"], scopes: ["s:a:*", "s:b"] }, parent),
    ).toBe(true);
    expect(isNarrower(parent, {})).toBe(true);
  });

  it.each<readonly [keyof Constraints, Constraints]>([
    ["notBeforeMs", { notBeforeMs: 9 }],
    ["expireTimeMs", { expireTimeMs: 21 }],
    ["audiences", { audiences: ["a", "c"] }],
    ["scopes", { scopes: ["s:a", "s"] }],
    ["scopes", { scopes: ["*"] }],
    ["cidrs", { cidrs: ["10.0.0.0/7"] }],
    ["cidrs", { cidrs: ["10.0.0.0/8", "::/0"] }],
    ["contextEquals", { contextEquals: { e: "y" } }],
    ["contextEquals", { contextEquals: {} }],
    ["contextPrefixes", { contextPrefixes: { p: "/a" } }],
  ])("names the field in which a child is wider: %s", (field, change) => {
    expect(widerFields({ ...parent, ...change }, parent)).toEqual([field]);
    expect(isNarrower({ ...parent, ...change }, parent)).toBe(false);
  });

  it.each(Object.keys(parent) as (keyof Constraints)[])("counts a rule left out as wider: %s", (field) => {
    const { [field]: _left, ...child } = parent;
    expect(widerFields(child, parent)).toEqual([field]);
  });
});

describe("deriveGrant", () => {
  const issuer = "https://keys.example";
  const nowMs = 1_800_000_000_400;
  const parent = { scopes: ["a:*", "b", "ichor:keys:read"] };
  const derive = (demand: object, bounds: Constraints = {}) =>
    deriveGrant(
      { ...parent, ...bounds },
      { audiences: ["x"], ttlSeconds: 900, constraints: {}, ...demand },
      issuer,
      nowMs,
    );
  const fields = (work: () => unknown) => {
    try {
      work();
      return [];
    } catch (error) {
      return error instanceof IchorError ? error.violations.map(({ field }) => field) : [String(error)];
    }
  };

  it("gives all but reserved scopes, in whole seconds", () => {
    expect(derive({})).toEqual({
      audiences: ["x"],
      scopes: ["a:*", "b"],
      notBeforeMs: 1_800_000_000_000,
      expireTimeMs: 1_800_000_900_000,
    });
  });

  it("ends with the parent, without a word", () => {
    expect(derive({}, { expireTimeMs: 1_800_000_060_999 }).expireTimeMs).toBe(1_800_000_060_000);
  });

  it("gives reserved scopes for the issuer alone", () => {
    const scopes = ["ichor:keys:read"];
    expect(derive({ audiences: [issuer], scopes }).scopes).toEqual(scopes);
    expect(fields(() => derive({ scopes }))).toEqual(["scopes[0]"]);
    expect(fields(() => derive({ audiences: [issuer, "x"], scopes }))).toEqual(["scopes[0]"]);
  });

  it.each<readonly [string, object, Constraints, readonly string[]]>([
    ["no audience", { audiences: [] }, {}, ["audiences"]],
    ["an audience that is none", { audiences: ["x", "a b"] }, {}, ["audiences[1]"]],
    ["an audience that the parent lacks", { audiences: ["x", "y"] }, { audiences: ["x"] }, ["audiences[1]"]],
    ["scopes that the parent lacks", { scopes: ["a:b", "*", "c"] }, {}, ["scopes[1]", "scopes[2]"]],
    ["a context that the parent contradicts", { constraints: equals("x") }, equals("y"), ["constraints"]],
    [
      "networks that the parent lacks",
      { constraints: { cidrs: ["::/0"] } },
      { cidrs: ["10.0.0.0/8"] },
      ["constraints"],
    ],
    ["a parent that has ended", {}, { expireTimeMs: nowMs }, ["constraints"]],
    ["a parent that begins later", {}, { notBeforeMs: nowMs + 900_000 }, ["constraints"]],
  ])("refuses %s", (_what, demand, bounds, refused) => {
    expect(fields(() => derive(demand, bounds))).toEqual(refused);
  });
});
