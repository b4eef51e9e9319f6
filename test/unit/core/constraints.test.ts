import { describe, expect, it } from "vitest";
import { isAudience } from "../../../services/core/audience.ts";
import {
  type ConstraintCode,
  type Constraints,
  constraintFailure,
  isContextName,
  isContextValue,
} from "../../../services/core/constraints.ts";
import type { Demand } from "../../../services/core/demand.ts";

const nowMs = 1_800_000_000_000;
const demand: Demand = {
  requiredScopes: ["a:read"],
  audience: "https://api.example",
  clientIp: "192.0.2.7",
  context: { env: "prod", path: "/v1/invoices" },
};

describe("constraintFailure", () => {
  it.each<[string, Constraints]>([
    ["none", {}],
    ["the time before its end", { expireTimeMs: nowMs + 1 }],
    ["the time from its begin on", { notBeforeMs: nowMs }],
    ["one of the audiences", { audiences: ["x", "https://api.example"] }],
    ["one of the networks", { cidrs: ["10.0.0.0/8", "192.0.2.0/24"] }],
    ["an equal context value", { contextEquals: { env: "prod" } }],
    ["a context value that begins so", { contextPrefixes: { path: "/v1/", env: "" } }],
    ["a covering scope", { scopes: ["b", "a:*"] }],
  ])("lets pass what satisfies %s", (_, constraints) => {
    expect(constraintFailure(constraints, demand, nowMs)).toBeUndefined();
  });

  it.each<[ConstraintCode, string, Constraints]>([
    ["EXPIRED", "its end has come", { expireTimeMs: nowMs }],
    ["NOT_YET_VALID", "its begin hasn't come", { notBeforeMs: nowMs + 1 }],
    ["AUDIENCE_MISMATCH", "the audience isn't one of them", { audiences: ["https://api.example/"] }],
    ["AUDIENCE_MISMATCH", "no audience is allowed", { audiences: [] }],
    ["IP_NOT_ALLOWED", "the address is elsewhere", { cidrs: ["10.0.0.0/8"] }],
    ["IP_NOT_ALLOWED", "no network is allowed", { cidrs: [] }],
    ["CONSTRAINT_NOT_MET", "a value differs", { contextEquals: { env: "Prod" } }],
    ["CONSTRAINT_NOT_MET", "a name is missing", { contextEquals: { user: "" } }],
    ["CONSTRAINT_NOT_MET", "a name is missing that every object has", { contextPrefixes: { constructor: "" } }],
    ["CONSTRAINT_NOT_MET", "a value begins otherwise", { contextPrefixes: { path: "/v2/" } }],
    ["CONSTRAINT_NOT_MET", "one of several differs", { contextEquals: { env: "prod", path: "/" } }],
    ["INSUFFICIENT_SCOPE", "a scope isn't covered", { scopes: ["a:write"] }],
    ["INSUFFICIENT_SCOPE", "no scope is allowed", { scopes: [] }],
  ])("says %s if %s", (code, _, constraints) => {
    expect(constraintFailure(constraints, demand, nowMs)).toBe(code);
  });

  it("refuses what it isn't told where that matters", () => {
    const silent: Demand = { requiredScopes: [], context: {} };
    expect(constraintFailure({ audiences: ["x"] }, silent, nowMs)).toBe("AUDIENCE_MISMATCH");
    expect(constraintFailure({ cidrs: ["0.0.0.0/0", "::/0"] }, silent, nowMs)).toBe("IP_NOT_ALLOWED");
  });

  it("lets a request that needs no scope pass an empty list of scopes", () => {
    expect(constraintFailure({ scopes: [] }, { ...demand, requiredScopes: [] }, nowMs)).toBeUndefined();
  });

  it("tells the first failure in the order of the codes", () => {
    const all: [keyof Constraints, ConstraintCode, Constraints][] = [
      ["expireTimeMs", "EXPIRED", { expireTimeMs: nowMs }],
      ["notBeforeMs", "NOT_YET_VALID", { notBeforeMs: nowMs + 1 }],
      ["audiences", "AUDIENCE_MISMATCH", { audiences: ["x"] }],
      ["cidrs", "IP_NOT_ALLOWED", { cidrs: ["10.0.0.0/8"] }],
      ["contextEquals", "CONSTRAINT_NOT_MET", { contextEquals: { env: "x" } }],
      ["scopes", "INSUFFICIENT_SCOPE", { scopes: ["x"] }],
    ];
    for (let first = 0; first < all.length; first++) {
      const broken: Constraints = Object.assign({}, ...all.slice(first).map(([, , constraints]) => constraints));
      expect(constraintFailure(broken, demand, nowMs)).toBe(all[first]?.[1]);
    }
  });

  it("compares context by bytes, without Unicode normalisation", () => {
    const composed = { ...demand, context: { name: "caf\u00e9", key: "\u{1f511}x" } };
    expect(constraintFailure({ contextEquals: { name: "cafe\u0301" } }, composed, nowMs)).toBe("CONSTRAINT_NOT_MET");
    expect(constraintFailure({ contextPrefixes: { key: "\u{1f511}" } }, composed, nowMs)).toBeUndefined();
    expect(constraintFailure({ contextPrefixes: { key: "\u{1f510}" } }, composed, nowMs)).toBe("CONSTRAINT_NOT_MET");
  });
});

describe("isAudience", () => {
  it.each(["a", "https://api.example:8443/v1", "A.b_c~d:e/f@g+h-i", "a".repeat(255)])("takes %s", (text) => {
    expect(isAudience(text)).toBe(true);
  });

  it.each(["", "a b", "*", "a?b", "a#b", "a\n", "\u00e9", "a".repeat(256)])("refuses %j", (text) => {
    expect(isAudience(text)).toBe(false);
  });
});

describe("isContextName", () => {
  it.each(["a", "user.id", "x-1_2", "a".repeat(64)])("takes %s", (text) => {
    expect(isContextName(text)).toBe(true);
  });

  it.each(["", "A", "1a", "_a", "__proto__", "a b", "a\n", "a".repeat(65)])("refuses %j", (text) => {
    expect(isContextName(text)).toBe(false);
  });
});

describe("isContextValue", () => {
  it.each(["", "x", " spaces stay ", "\u{1f511}", "x".repeat(512), "\u00e9".repeat(256)])("takes %j", (text) => {
    expect(isContextValue(text)).toBe(true);
  });

  it.each(["a\nb", "\u0000", "\u007f", "\u0085", "\ud83d", "x".repeat(513), "\u00e9".repeat(257)])(
    "refuses %j",
    (text) => {
      expect(isContextValue(text)).toBe(false);
    },
  );
});
