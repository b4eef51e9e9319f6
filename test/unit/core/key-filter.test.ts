import { describe, expect, it } from "vitest";
import { parseKeyFilter } from "../../../services/core/key-filter.ts";
import { parseKeyOrder, textAfterPrefix } from "../../../services/core/key-order.ts";

const empty = { scopes: [], labels: [], createTime: {}, expireTime: {}, lastUsedTime: {} };
const newYear = Date.UTC(2026, 0, 1);

describe("a filter", () => {
  it.each([
    ["", {}],
    ["  ", {}],
    ['owner_id = "acme"', { ownerId: "acme" }],
    ["owner_id=acme", { ownerId: "acme" }],
    [String.raw`owner_id = "say \"a\\b\""`, { ownerId: String.raw`say "a\b"` }],
    ['owner_id = ""', { ownerId: "" }],
    ["status = REVOKED", { status: "REVOKED" }],
    ['status = "ACTIVE"', { status: "ACTIVE" }],
    ["prefix = ichor_sk", { prefix: "ichor_sk" }],
    ["name = ci", { name: { equals: "ci" } }],
    ['name = "ci*"', { name: { begins: "ci" } }],
    ['name = "*"', { name: { begins: "" } }],
    ['scope = "a:*" AND scope = b', { scopes: ["a:*", "b"] }],
    [
      "labels.env = prod AND labels.team.x = ops",
      {
        labels: [
          ["env", "prod"],
          ["team.x", "ops"],
        ],
      },
    ],
    ['create_time < "2026-01-01T00:00:00Z"', { createTime: { beforeMs: newYear } }],
    ["expire_time > 2026-01-01T01:00:00+01:00", { expireTime: { afterMs: newYear } }],
    ["last_used_time < 2026-01-01T00:00:00.5Z", { lastUsedTime: { beforeMs: newYear + 500 } }],
    [
      "create_time > 2026-01-01T00:00:00Z AND\n\tcreate_time < 2026-01-01T00:00:01Z",
      { createTime: { afterMs: newYear, beforeMs: newYear + 1000 } },
    ],
  ])("reads %j", (text, filter) => {
    expect(parseKeyFilter(text)).toEqual({ ...empty, ...filter });
  });

  it.each([
    ["owner_id", 9, "expected =, < or >"],
    ["owner_id =", 11, "expected a value"],
    ['owner_id = "a', 12, "expected a value that ends with a quote"],
    [String.raw`owner_id = "\n"`, 12, "expected a value that ends with a quote"],
    ["owner_id = a status = ACTIVE", 14, "expected AND"],
    ["owner_id = a ANDstatus = ACTIVE", 14, "expected AND"],
    ["owner_id = a AND", 14, "expected AND"],
    ["owner_id = a AND  ", 19, "expected a field"],
    ["owner_id = a OR status = ACTIVE", 14, "expected AND"],
    ["Owner = a", 1, "expected a field"],
    ["owner = a", 1, "is no field to filter by"],
    ["labels. = a", 1, "is no field to filter by"],
    ["owner_id < a", 1, "owner_id takes = only"],
    ["create_time = 2026-01-01T00:00:00Z", 1, "create_time takes < or > only"],
    ["create_time < 2026-01-01", 15, "expected a time as 2026-01-01T00:00:00Z"],
    ["create_time < 2026-13-01T00:00:00Z", 15, "expected a time as 2026-01-01T00:00:00Z"],
    ["status = GONE", 10, "expected one of ACTIVE, DISABLED, REVOKED, EXPIRED"],
    ["owner_id = a AND owner_id = b", 18, "owner_id is there twice"],
    ["labels.a = b AND labels.a = c", 18, "labels.a is there twice"],
    [Array(17).fill("scope = a").join(" AND "), 221, "the filter has over 16 terms"],
    ["x".repeat(2049), 2049, "the filter has over 2048 characters"],
    ["owner_id = 'a'", 12, "expected a value"],
  ])("refuses %j and says where", (text, position, description) => {
    expect(parseKeyFilter(text)).toEqual({ position, description });
  });
});

describe("an order", () => {
  it.each([
    ["", { by: "create_time", descending: true }],
    ["name", { by: "name", descending: false }],
    ["  expire_time   desc ", { by: "expire_time", descending: true }],
    ["create_time asc", { by: "create_time", descending: false }],
    ["owner_id", undefined],
    ["name desc, create_time", undefined],
    ["namedesc", undefined],
  ])("%j is %j", (text, order) => {
    expect(parseKeyOrder(text)).toEqual(order);
  });
});

describe("the text after a prefix", () => {
  it.each([
    ["a", "b"],
    ["ab", "ac"],
    ["a\u{10ffff}", "b"],
    ["\u{10ffff}", undefined],
    ["", undefined],
    ["\ud7ff", "\ue000"],
    ["🔑", "🔒"],
  ])("of %j is %j", (prefix, after) => {
    expect(textAfterPrefix(prefix)).toBe(after);
  });
});
