import { describe, expect, it } from "vitest";
import type { Constraints } from "../../../../services/core/constraints.ts";
import { caveatBytesMax, readCaveat } from "../../../../services/core/macaroon/caveat.ts";
import { writeCaveats } from "../../../../services/core/macaroon/write-caveats.ts";
import { reasonOf } from "../some-key.ts";

const read = (text: string) => readCaveat(Buffer.from(text));

const forms: readonly (readonly [string, Constraints])[] = [
  ["exp < 0", { expireTimeMs: 0 }],
  ["exp < 1800000000", { expireTimeMs: 1_800_000_000_000 }],
  ["exp < 999999999999", { expireTimeMs: 999_999_999_999_000 }],
  ["nbf >= 1800000000", { notBeforeMs: 1_800_000_000_000 }],
  ["scope = ", { scopes: [] }],
  ["scope = a:b", { scopes: ["a:b"] }],
  ["scope = a:* b *", { scopes: ["a:*", "b", "*"] }],
  ["aud = https://api.example other", { audiences: ["https://api.example", "other"] }],
  ["cidr = 10.0.0.0/8 2001:db8::/32", { cidrs: ["10.0.0.0/8", "2001:db8::/32"] }],
  ["ctx.region = eu", { contextEquals: { region: "eu" } }],
  ["ctx.a_b.c-1 = x = y ", { contextEquals: { "a_b.c-1": "x = y " } }],
  ["ctx.path ^= /a/", { contextPrefixes: { path: "/a/" } }],
  ["ctx.path = ^= /a/", { contextEquals: { path: "^= /a/" } }],
  ["ctx.constructor = ", { contextEquals: { constructor: "" } } as unknown as Constraints],
  ["ctx.name = é", { contextEquals: { name: "é" } }],
  ["ctx.name = e\u0301", { contextEquals: { name: "e\u0301" } }],
  ["ctx.name = \ufeffx", { contextEquals: { name: "\ufeffx" } }],
];

describe("caveat", () => {
  it.each(forms)("reads %j", (text, constraints) => {
    expect(read(text)).toEqual(constraints);
  });

  it.each(forms)("writes what it reads: %j", (text, constraints) => {
    expect(writeCaveats(constraints)).toEqual([text]);
  });

  it.each(
    [
      ["", "exp", "exp <", "exp < ", "ctx.", "ctx.a", "ctx.a ", "ctx.a =", "ctx.a ^="],
      // Spaces: double, none, tab, no-break, leading, trailing.
      [
        "exp<1",
        "exp <1",
        "exp< 1",
        "exp  < 1",
        "exp <  1",
        "exp\t< 1",
        "exp <\t1",
        "exp\u00a0< 1",
        " exp < 1",
        "exp < 1 ",
      ],
      ["nbf>=1", "nbf >=1", "nbf > 1", "nbf >  = 1", "nbf >= 1\n"],
      ["scope =", "scope=a", "scope = a  b", "scope =  a", "scope = a ", "scope = a\tb", "scope = a,b", "scope = a\nb"],
      ["aud = ", "aud =", "aud = a  b", "aud = a ", "aud = a,b", "aud = \u0430"],
      ["cidr = ", "cidr = 10.0.0.1", "cidr = 10.0.0.0/8  10.0.0.0/8", "cidr = 10.0.0.0/33", "cidr = 10.0.0.0/08"],
      ["ctx.a  = b", "ctx.a\t= b", "ctx.a=b", "ctx.a =b", "ctx.a ^ = b", "ctx.a ^=b", "ctx. = b", "ctx.a == b"],
      // Case.
      ["EXP < 1", "Exp < 1", "NBF >= 1", "Scope = a", "AUD = a", "CIDR = 10.0.0.0/8", "CTX.a = b", "ctx.A = b"],
      // Numbers.
      [
        "exp < 01",
        "exp < -1",
        "exp < +1",
        "exp < 1.0",
        "exp < 1e3",
        "exp < 0x1",
        "exp < 1000000000000",
        "exp < \u0661",
      ],
      // Scopes that are none.
      ["scope = a:", "scope = :a", "scope = *:a", "scope = a*", "scope = a:*:b", "scope = ä"],
      // Names.
      ["ctx.1a = b", "ctx.a b = c", `ctx.a${"b".repeat(64)} = c`, "ctx.é = b", "ctx._a = b", "ctx.__proto__ = b"],
      // Control characters: NUL, tab, line end, DEL, C1.
      [
        "ctx.a = \u0000",
        "ctx.a = b\u0000",
        "ctx.a = b\tc",
        "ctx.a = b\n",
        "ctx.a = \u007f",
        "ctx.a = \u0085",
        "exp < 1\u0000",
      ],
      // Other forms of the same characters, and other operators.
      [
        "ｅｘｐ < 1",
        "exp ＜ 1",
        "exp <= 1",
        "exp > 1",
        "\ufeffexp < 1",
        "time < 1",
        "account = 1",
        "ctx.a ~= b",
        "ctx.a $= b",
      ],
      // Quoting.
      ['aud = "a"', "scope = 'a'", "cidr = [::1]/128"],
    ]
      .flat()
      .map((text) => [text]),
  )("doesn't read %j", (text) => {
    expect(read(text)).toBeUndefined();
  });

  it("reads 1024 bytes and not 1025", () => {
    const longest = `ctx.a = ${"x".repeat(caveatBytesMax - 8)}`;
    expect(read(longest)).toBeDefined();
    expect(read(`${longest}x`)).toBeUndefined();
    expect(read(`ctx.a = ${"é".repeat(508)}`)).toBeDefined();
    expect(read(`ctx.a = ${"é".repeat(508)}x`)).toBeUndefined();
  });

  it.each([
    ["an overlong encoding", [0xc0, 0xaf]],
    ["a surrogate", [0xed, 0xa0, 0x80]],
    ["a cut-off character", [0xc3]],
    ["a lone continuation byte", [0x80]],
    ["over U+10FFFF", [0xf4, 0x90, 0x80, 0x80]],
  ])("doesn't read %s", (_what, bytes) => {
    expect(readCaveat(Buffer.concat([Buffer.from("ctx.a = "), Buffer.from(bytes)]))).toBeUndefined();
  });

  it("keeps Unicode forms apart", () => {
    expect(read("ctx.a = \u00e9")).not.toEqual(read("ctx.a = e\u0301"));
  });

  it("rounds times towards the narrower side", () => {
    expect(writeCaveats({ expireTimeMs: 1999, notBeforeMs: 1001 })).toEqual(["exp < 1", "nbf >= 2"]);
  });

  it("writes one caveat for each field and name", () => {
    const constraints = {
      expireTimeMs: 2000,
      notBeforeMs: 1000,
      scopes: ["a"],
      audiences: ["b"],
      cidrs: ["10.0.0.0/8"],
      contextEquals: { c: "1", d: "2" },
      contextPrefixes: { e: "3" },
    };
    expect(writeCaveats(constraints)).toHaveLength(8);
    expect(writeCaveats({})).toEqual([]);
  });

  it.each<readonly [string, Constraints]>([
    ["no audience", { audiences: [] }],
    ["no network", { cidrs: [] }],
    ["two scopes posing as one", { scopes: ["a b"] }],
    ["a caveat posing as a name", { contextEquals: { "a = b ctx.c": "d" } }],
    ["half a surrogate pair", { contextEquals: { a: "\ud800" } }],
    ["a control character", { contextPrefixes: { a: "b\n" } }],
    ["a list over 1 KiB", { scopes: Array.from({ length: 60 }, (_, i) => `a:${"x".repeat(20)}${i}`) }],
    ["a time over 12 digits", { expireTimeMs: 1e15 }],
    ["a time before 1970", { notBeforeMs: -1000 }],
    ["no time at all", { expireTimeMs: Number.NaN }],
  ])("can't write %s", (_what, constraints) => {
    expect(reasonOf(() => writeCaveats(constraints))).toBe("INVALID_FIELD");
  });
});
