import { describe, expect, it } from "vitest";
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

const segments = (count: number) => Array.from({ length: count }, () => "s").join(":");

describe("isScope and isGrant", () => {
  it.each([
    "a",
    "invoices:read",
    "A-Z.a~z_0/9@x+y:b",
    "https://api.example/v1:read",
    "ichor",
    "ichor:keys:read",
    "ichor:verify:aud:api",
    "ichor:verify:aud:https://api.example:8443/v1",
    "ichor:verify:aud:urn::x:",
    `ichor:verify:aud:${"a".repeat(255)}`,
    `ichor:verify:aud:${":".repeat(255)}`,
    segments(16),
    "x".repeat(128),
  ])("take %s", (scope) => {
    expect(isScope(scope)).toBe(true);
    expect(isGrant(scope)).toBe(true);
  });

  it.each([
    "*",
    "a:*",
    "a:b:*",
    "ichor:*",
    "ichor:keys:*",
    "ichor:verify:*",
    "ichor:verify:aud:*",
    `${segments(15)}:*`,
  ])("take the pattern %s as a grant, never as a scope", (pattern) => {
    expect(isScope(pattern)).toBe(false);
    expect(isGrant(pattern)).toBe(true);
  });

  it.each([
    "",
    ":",
    "a:",
    ":a",
    "a::b",
    "a b",
    "a\n",
    "a\u0000",
    "caf\u00e9",
    "**",
    "a*",
    "a:b*",
    "a:**",
    "*:a",
    "a:*:b",
    "a:*:*",
    ":*",
    "a::*",
    "ichor:verify:aud:",
    "ichor:verify:aud:a:*",
    "ichor:verify:aud:a*",
    "ichor:verify:aud:a b",
    `ichor:verify:aud:${"a".repeat(256)}`,
    segments(17),
    `${segments(16)}:*`,
    "x".repeat(129),
    `${"x".repeat(128)}:`.repeat(4),
    "a:".repeat(100_000),
  ])("refuse %j", (text) => {
    expect(isScope(text)).toBe(false);
    expect(isGrant(text)).toBe(false);
  });
});

describe("covers", () => {
  it.each([
    ["a", "a"],
    ["a:b", "a:b"],
    ["a:*", "a:b"],
    ["a:*", "a:b:c"],
    ["*", "a"],
    ["*", "a:b:c"],
    ["*", "ichors:x"],
    ["*", "Ichor:keys:read"],
    ["ichor:*", "ichor:keys:read"],
    ["ichor:*", "ichor:system"],
    ["ichor:*", "ichor:verify:aud:https://api.example"],
    ["ichor:keys:*", "ichor:keys:write"],
    ["ichor:verify:*", "ichor:verify:aud:x"],
    ["ichor:verify:aud:*", "ichor:verify:aud:https://api.example:8443/v1"],
    ["ichor:verify:aud:a:b", "ichor:verify:aud:a:b"],
  ])("%s covers %s", (grant, required) => {
    expect(covers(grant, required)).toBe(true);
  });

  it.each([
    ["a:*", "a"],
    ["a:*", "ab:c"],
    ["a:*", "b:a:c"],
    ["a:b", "a"],
    ["a", "a:b"],
    ["a:b", "a:b:c"],
    ["a", "A"],
    ["*", "ichor"],
    ["*", "ichor:keys:read"],
    ["*", "ichor:verify:aud:x"],
    ["ichor:*", "ichor"],
    ["ichor:keys:*", "ichor:tokens:derive"],
    ["ichor:verify:aud:a", "ichor:verify:aud:a:b"],
    ["ichor:verify:aud:*", "ichor:verify:x"],
  ])("%s doesn't cover %s", (grant, required) => {
    expect(covers(grant, required)).toBe(false);
  });

  it("covers nothing by a stored grant that has a star elsewhere", () => {
    expect(covers("a*", "ab")).toBe(false);
    expect(covers("a:b*", "a:bc")).toBe(false);
  });
});

describe("coversAll", () => {
  it("needs each scope covered by one of the grants", () => {
    expect(coversAll(["a:*", "b"], ["a:x", "b"])).toBe(true);
    expect(coversAll(["a:*", "b"], ["a:x", "c"])).toBe(false);
  });

  it("allows what requires nothing, and no grants allow nothing else", () => {
    expect(coversAll([], [])).toBe(true);
    expect(coversAll([], ["a"])).toBe(false);
  });
});

describe("grantCoversGrant", () => {
  it.each([
    ["*", "*"],
    ["*", "a:*"],
    ["a:*", "a:*"],
    ["a:*", "a:b:*"],
    ["ichor:*", "ichor:keys:*"],
    ["ichor:*", "ichor:*"],
  ])("%s allows all of %s", (wider, narrower) => {
    expect(grantCoversGrant(wider, narrower)).toBe(true);
  });

  it.each([
    ["a:*", "*"],
    ["a:b", "a:*"],
    ["a:b:*", "a:*"],
    ["*", "ichor:*"],
    ["*", "ichor:keys:*"],
    ["ichor:*", "*"],
  ])("%s doesn't allow all of %s", (wider, narrower) => {
    expect(grantCoversGrant(wider, narrower)).toBe(false);
  });
});

describe("reserved scopes", () => {
  it("are those whose first segment is ichor", () => {
    expect(["ichor", "ichor:*", "ichor:x"].every(isReserved)).toBe(true);
    expect(["*", "ichorx:a", "a:ichor", "ICHOR:x"].some(isReserved)).toBe(false);
  });

  it.each<[string, string[], string[], string[]]>([
    ["ordinary scopes", [], ["a", "b:*", "*"], []],
    ["what a wider pattern covers", ["ichor:keys:*"], ["ichor:keys:read", "ichor:keys:*"], []],
    ["what a star can't cover", ["*"], ["ichor:keys:read"], ["ichor:keys:read"]],
    ["a pattern of which the caller has a part", ["ichor:keys:read"], ["ichor:keys:*"], ["ichor:keys:*"]],
    [
      "every one that is missing",
      ["ichor:keys:*"],
      ["ichor:*", "ichor:keys:write", "ichor:system"],
      ["ichor:*", "ichor:system"],
    ],
  ])("not covered by a caller: %s", (_, callerScopes, keyScopes, missing) => {
    expect(reservedScopesNotCovered(callerScopes, keyScopes)).toEqual(missing);
  });
});

describe("intersectScopes", () => {
  it.each<[string, string[], string[] | undefined, string[]]>([
    ["no narrowing leaves all", ["a", "b:*"], undefined, ["a", "b:*"]],
    ["an empty narrowing leaves nothing", ["a", "b:*"], [], []],
    ["the narrower of two nested patterns", ["a:*", "b"], ["a:b:*", "b"], ["a:b:*", "b"]],
    ["from either side", ["a:b:*"], ["a:*"], ["a:b:*"]],
    ["disjoint patterns", ["a:*"], ["b:*"], []],
    ["a star narrows reserved scopes away", ["ichor:*", "a"], ["*"], ["a"]],
    ["without duplicates", ["a:*", "a:b"], ["a:b", "a:*"], ["a:b", "a:*"]],
  ])("%s", (_, grants, narrowing, both) => {
    expect(intersectScopes(grants, narrowing)).toEqual(both);
  });
});
