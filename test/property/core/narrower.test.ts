import fc from "fast-check";
import { afterAll, describe, expect, it } from "vitest";
import { type Constraints, constraintFailure } from "../../../services/core/constraints.ts";
import type { Demand } from "../../../services/core/demand.ts";
import { deriveGrant } from "../../../services/core/derive-grant.ts";
import { IchorError } from "../../../services/core/errors.ts";
import { bytesOf } from "../../../services/core/hmac-sha256.ts";
import { attenuateMacaroon } from "../../../services/core/macaroon/attenuate.ts";
import { authenticateMacaroon } from "../../../services/core/macaroon/authenticate.ts";
import { chainSignature } from "../../../services/core/macaroon/chain.ts";
import { writeMacaroonV2 } from "../../../services/core/macaroon/codec-v2.ts";
import type { Macaroon } from "../../../services/core/macaroon/macaroon.ts";
import { formatMacaroonText, readMacaroonText } from "../../../services/core/macaroon/text.ts";
import { writeCaveats } from "../../../services/core/macaroon/write-caveats.ts";
import { allowsNothing, intersect, isNarrower } from "../../../services/core/narrower.ts";
import { encodeMacaroonIdentifier } from "../../../services/wire/macaroon-identifier.ts";
import { madeSeconds, someIdentifier, someIssuer, someRoot } from "../../unit/core/macaroon/some-macaroon.ts";

// Law 2: a child is never wider than its parent. Small alphabets, so that rules meet each other and requests often.
const seed = 20_261_124;
const startMs = madeSeconds * 1000;

const early = fc.integer({ min: -3, max: 3 }).map((step) => startMs + step * 1000);
const late = fc.oneof(
  early,
  fc.integer({ min: 3, max: 40 }).map((step) => startMs + step * 1000),
);
const audience = fc.constantFrom("a", "b", "https://api.example");
const grant = fc.constantFrom("*", "a", "a:*", "a:*", "a:b", "a:b:*", "a:b:c", "b", "ichor:*", "ichor:keys:read");
const network = fc.constantFrom(
  ...["0.0.0.0/0", "10.0.0.0/8", "10.0.0.0/8", "10.1.0.0/16", "10.1.2.3/32", "192.0.2.0/24", "::ffff:10.1.0.0/112"],
  ...["::/0", "2001:db8::/32"],
);
const name = fc.constantFrom("p", "q", "constructor");
const value = fc.constantFrom("", "x", "xy", "xyz", "y");
const prefix = fc.constantFrom("", "", "x", "xy", "y");
const listOf = <T>(item: fc.Arbitrary<T>, minLength: number) => fc.uniqueArray(item, { minLength, maxLength: 4 });
/** Mostly lists with items: an empty one allows nothing, which makes for dull cases. */
const mostly = <T>(item: fc.Arbitrary<T>) =>
  fc.oneof({ weight: 9, arbitrary: listOf(item, 2) }, { weight: 1, arbitrary: listOf(item, 0) });
const rules = (values: fc.Arbitrary<string>) =>
  fc.dictionary(name, values, { minKeys: 1, maxKeys: 2, noNullPrototype: true });

const everyField: fc.Arbitrary<Required<Constraints>> = fc.record({
  notBeforeMs: early,
  expireTimeMs: late,
  audiences: mostly(audience),
  scopes: mostly(grant),
  cidrs: mostly(network),
  contextEquals: rules(value),
  contextPrefixes: rules(prefix),
});
const fieldNames = [
  "notBeforeMs",
  "expireTimeMs",
  "audiences",
  "scopes",
  "cidrs",
  "contextEquals",
  "contextPrefixes",
] as const;
/** A few fields of all; others are left out, as everywhere. */
const constraints: fc.Arbitrary<Constraints> = fc
  .tuple(everyField, fc.shuffledSubarray([...fieldNames], { maxLength: 3 }))
  .map(([all, chosen]) => Object.fromEntries(chosen.map((field) => [field, all[field]])));

interface Request extends Demand {
  readonly nowMs: number;
}
const request: fc.Arbitrary<Request> = fc.record({
  nowMs: late,
  audience: fc.option(audience, { nil: undefined }),
  requiredScopes: fc.uniqueArray(fc.constantFrom("a", "a:b", "a:b:c", "a:c", "b", "ichor:keys:read"), { maxLength: 2 }),
  clientIp: fc.constantFrom(
    undefined,
    "10.1.2.3",
    "10.1.9.9",
    "10.9.9.9",
    "192.0.2.1",
    "::ffff:10.1.2.3",
    "2001:db8::1",
    "::1",
  ),
  context: fc.dictionary(name, value, { maxKeys: 3, noNullPrototype: true }),
});
/** One that has a fair chance of being allowed: without them the tests below would compare refusals. */
const likelyRequest: fc.Arbitrary<Request> = fc.oneof(
  request,
  fc.record({
    nowMs: fc.constant(startMs + 1000),
    audience,
    requiredScopes: fc.constantFrom([], ["a:b"], ["a:b:c"]),
    clientIp: fc.constantFrom("10.1.2.3", "192.0.2.1"),
    context: fc.record({ p: fc.constantFrom("x", "xy", "xyz"), q: fc.constantFrom("x", "xyz") }),
  }),
);

const allows = (rule: Constraints, { nowMs, ...demand }: Request) =>
  constraintFailure(rule, demand, nowMs) === undefined;

const counts = new Map<string, number>();
function count(kind: string, by = 1): void {
  counts.set(kind, (counts.get(kind) ?? 0) + by);
}
function countFields(prefix: string, given: Constraints): void {
  for (const field of Object.keys(given)) count(`${prefix} ${field}`);
}
afterAll(() => {
  const lines = [...counts].sort().map(([kind, times]) => `  ${String(times).padStart(7)} ${kind}`);
  process.stdout.write(`cases by kind, seed ${seed}:\n${lines.join("\n")}\n`);
});

/** The properties of a combination, given as a parameter so that a planted fault can be tried against them. */
function meetProperty(meet: typeof intersect) {
  return fc.property(constraints, constraints, likelyRequest, (a, b, asked) => {
    const both = meet(a, b);
    const inA = allows(a, asked);
    const inB = allows(b, asked);
    count("intersect");
    countFields("intersect", { ...a, ...b });
    if (inA && inB) count("intersect: allowed by both");
    expect(allows(both, asked)).toBe(inA && inB);
    expect(isNarrower(both, a) && isNarrower(both, b)).toBe(true);
  });
}

describe("intersect", () => {
  it("allows exactly what both allow, and is narrower than each", () => {
    fc.assert(meetProperty(intersect), { seed, numRuns: 40_000 });
  });

  it.each<readonly [string, (a: Constraints, b: Constraints) => Constraints]>([
    ["the later end", (a, b) => ({ ...intersect(a, b), ...(b.expireTimeMs && { expireTimeMs: b.expireTimeMs }) })],
    ["the earlier beginning", (a, b) => ({ ...intersect(a, b), ...(a.notBeforeMs && { notBeforeMs: a.notBeforeMs }) })],
    [
      "both lists of scopes",
      (a, b) => ({ ...intersect(a, b), ...(a.scopes && b.scopes && { scopes: [...a.scopes, ...b.scopes] }) }),
    ],
    [
      "the second list of audiences",
      (a, b) => ({ ...intersect(a, b), ...(b.audiences && { audiences: b.audiences }) }),
    ],
    ["the second list of networks", (a, b) => ({ ...intersect(a, b), ...(b.cidrs && { cidrs: b.cidrs }) })],
    [
      "the second of two values",
      (a, b) => ({ ...a, ...b, ...intersect(a, b), ...(b.contextEquals && { contextEquals: b.contextEquals }) }),
    ],
    ["no prefix", (a, b) => (({ contextPrefixes: _none, ...rest }) => rest)(intersect(a, b))],
  ])("would be caught taking %s", (_fault, planted) => {
    expect(fc.check(meetProperty(planted), { seed, numRuns: 5000 }).failed).toBe(true);
  });
});

describe("isNarrower", () => {
  const property = (narrower: typeof isNarrower) =>
    fc.property(constraints, constraints, fc.boolean(), likelyRequest, (child, parent, derived, asked) => {
      const related = derived ? intersect(child, parent) : child;
      count("isNarrower");
      if (!narrower(related, parent)) return;
      count("isNarrower: true");
      if (allows(related, asked)) count("isNarrower: true, and allowed");
      expect(!allows(related, asked) || allows(parent, asked)).toBe(true);
      expect(isNarrower(intersect(related, parent), related)).toBe(true);
    });

  it("is never true of a child that allows more", () => {
    fc.assert(property(isNarrower), { seed, numRuns: 25_000 });
  });

  it("would be caught comparing fewer fields", () => {
    const forgetful: typeof isNarrower = ({ cidrs: _a, ...child }, { cidrs: _b, ...parent }) =>
      isNarrower(child, parent);
    expect(fc.check(property(forgetful), { seed, numRuns: 5000 }).failed).toBe(true);
  });

  it("finds nothing allowed where it says so", () => {
    const silent = fc.property(constraints, constraints, likelyRequest, (a, b, asked) => {
      count("allowsNothing");
      const both = intersect(a, b);
      if (!allowsNothing(both)) return;
      count("allowsNothing: true");
      expect(allows(both, asked)).toBe(false);
    });
    fc.assert(silent, { seed, numRuns: 10_000 });
  });
});

describe("deriveGrant", () => {
  it("gives what the parent and the demand both allow, or refuses", () => {
    const parents = fc.tuple(constraints, listOf(grant, 1)).map(([bounds, scopes]) => ({ ...bounds, scopes }));
    const demands = fc.record(
      {
        audiences: listOf(audience, 0),
        scopes: listOf(grant, 0),
        ttlSeconds: fc.integer({ min: 1, max: 30 }),
        constraints,
      },
      { requiredKeys: ["audiences", "ttlSeconds", "constraints"] },
    );
    const property = fc.property(parents, demands, likelyRequest, (parent, demand, asked) => {
      count("deriveGrant");
      try {
        const child = deriveGrant(parent, demand, "https://api.example", startMs + 400);
        count("deriveGrant: given");
        countFields("deriveGrant: given", child);
        expect(isNarrower(child, parent) && isNarrower(child, demand.constraints)).toBe(true);
        expect(child.expireTimeMs).toBeLessThanOrEqual(startMs + demand.ttlSeconds * 1000);
        expect(!allows(child, asked) || (allows(parent, asked) && allows(demand.constraints, asked))).toBe(true);
        expect(
          isNarrower(child, { audiences: demand.audiences, ...(demand.scopes && { scopes: demand.scopes }) }),
        ).toBe(true);
      } catch (error) {
        if (!(error instanceof IchorError)) throw error;
      }
    });
    fc.assert(property, { seed, numRuns: 15_000 });
  });
});

describe("attenuateMacaroon", () => {
  /** What caveats can say. */
  const sayable = constraints.map(
    ({ audiences, cidrs, ...rest }): Constraints => ({
      ...rest,
      ...(audiences?.length && { audiences }),
      ...(cidrs?.length && { cidrs }),
    }),
  );
  const identifier = encodeMacaroonIdentifier({ ...someIdentifier, audience: "a" });
  const root = someRoot;

  function mint(caveatTexts: readonly string[]): string {
    const caveats = caveatTexts.map((text) => ({ id: Buffer.from(text) }));
    const signature = bytesOf(chainSignature(root, { identifier, caveats }));
    return formatMacaroonText("ichor_mc", writeMacaroonV2({ location: someIssuer, identifier, caveats, signature }));
  }

  function grantOf(text: string): Constraints {
    const { macaroon } = readMacaroonText(text) as { macaroon: Macaroon };
    const authentication = authenticateMacaroon(macaroon, { ...someIdentifier, audience: "a" }, root, someIssuer);
    if (!authentication.authentic) throw new Error(authentication.code);
    return authentication.token.grant;
  }

  const property = (attenuate: typeof attenuateMacaroon) =>
    fc.property(sayable, fc.array(sayable, { maxLength: 3 }), likelyRequest, (first, more, asked) => {
      const parent = mint([`exp < ${madeSeconds + 60}`, "scope = * ichor:*", "aud = a b", ...writeCaveats(first)]);
      const caveats = more.flatMap(writeCaveats);
      const child = grantOf(attenuate(parent, caveats));
      count("attenuate");
      for (const caveat of [...writeCaveats(first), ...caveats]) {
        count(
          `attenuate ${caveat
            .replace(/^(ctx)\.\w+/, "$1.NAME")
            .split(" ")
            .slice(0, 2)
            .join(" ")}`,
        );
      }
      const expected = allows(grantOf(parent), asked) && more.every((constraint) => allows(constraint, asked));
      if (expected) count("attenuate: allowed");
      expect(allows(child, asked)).toBe(expected);
      expect(isNarrower(child, grantOf(parent))).toBe(true);
    });

  it("allows exactly what the macaroon and each new caveat allow", () => {
    fc.assert(property(attenuateMacaroon), { seed, numRuns: 12_000 });
  });

  it("would be caught losing a caveat", () => {
    const planted: typeof attenuateMacaroon = (text, caveats) => attenuateMacaroon(text, caveats.slice(1));
    expect(fc.check(property(planted), { seed, numRuns: 5000 }).failed).toBe(true);
  });
});
