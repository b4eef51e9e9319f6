import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ContentHash, contentHashOf } from "../../../services/core/key-set/content-hash.ts";
import { type FeedStatement, feedStatementBytes } from "../../../services/core/key-set/feed-statement.ts";
import { emptyDelta, type KeySetDelta } from "../../../services/core/key-set/key-set-delta.ts";

const seeded = { seed: 0x51c4ed, numRuns: 200 };
const packed = (max: number) =>
  fc
    .array(fc.uint8Array({ minLength: 16, maxLength: 16 }), { maxLength: max })
    .map((ids) => new Uint8Array(Buffer.concat(ids)));
const mark = fc.integer({ min: 1, max: 0xffff_ffff });
const marked = fc
  .array(fc.tuple(fc.uint8Array({ minLength: 16, maxLength: 16 }), mark), { maxLength: 12 })
  .map((all) => ({
    markedKeys: new Uint8Array(Buffer.concat(all.map(([id]) => id))),
    marks: all.map(([, value]) => value),
  }));
const timeMs = fc.integer({ min: 0, max: 2 ** 48 });
const text = fc.string({ maxLength: 8 });
const rest = fc.record(
  {
    signingKeys: fc.array(
      fc.record({
        kid: text,
        state: fc.constantFrom("NEXT", "ACTIVE", "RETIRED"),
        publicJwk: fc.dictionary(text, text),
      }),
      { maxLength: 3 },
    ),
    tenantDisabled: fc.boolean(),
    issuedBeforeMs: timeMs,
    audienceKeys: fc.array(
      fc.record(
        {
          audience: text,
          masterId: text,
          generation: fc.nat(),
          key: fc.uint8Array({ minLength: 32, maxLength: 32 }),
          endTimeMs: timeMs,
        },
        { requiredKeys: ["audience", "masterId", "generation", "key"] },
      ),
      { maxLength: 3 },
    ),
  },
  { requiredKeys: [] },
);
const delta = fc
  .record({
    marked,
    revokedTokens: packed(8),
    forgottenTokens: packed(4),
    changedKeys: packed(4),
    imported: fc.boolean(),
    rest,
  })
  .map(({ marked, rest, ...ids }) => ({ ...emptyDelta, ...marked, ...ids, ...rest }) as unknown as KeySetDelta);

/** What it says, as text that differs if anything does. */
const wordsOf = (value: unknown) =>
  JSON.stringify(value, (_, member) =>
    member instanceof Uint8Array
      ? Buffer.from(member).toString("hex")
      : typeof member === "bigint"
        ? `${member}n`
        : member,
  );
const hexOf = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");

describe("the content hash of an event", () => {
  it("is another one if anything that it tells is", () => {
    fc.assert(
      fc.property(delta, delta, (a, b) => {
        const same = wordsOf(sorted(a)) === wordsOf(sorted(b));
        expect(hexOf(contentHashOf(a)) === hexOf(contentHashOf(b))).toBe(same);
      }),
      seeded,
    );
  });

  it("is another one if one byte of an id, a mark or a key is", () => {
    fc.assert(
      fc.property(delta, fc.nat(), fc.integer({ min: 1, max: 255 }), (told, place, flip) => {
        const { markedKeys, marks, revokedTokens, forgottenTokens, changedKeys, audienceKeys = [] } = told;
        const fields = [markedKeys, revokedTokens, forgottenTokens, changedKeys, ...audienceKeys.map(({ key }) => key)];
        const before = hexOf(contentHashOf(told));
        const bytes = fields.filter(({ length }) => length > 0);
        const one = bytes[place % (bytes.length || 1)];
        if (one !== undefined) {
          const at = place % one.length;
          one[at] = (one[at] as number) ^ flip;
          expect(hexOf(contentHashOf(told))).not.toBe(before);
          one[at] = (one[at] as number) ^ flip;
        }
        if (marks.length > 0) {
          const changed = marks.map((value, i) => (i === place % marks.length ? (value ^ flip) >>> 0 : value));
          expect(hexOf(contentHashOf({ ...told, marks: changed }))).not.toBe(before);
        }
        expect(hexOf(contentHashOf(told))).toBe(before);
      }),
      seeded,
    );
  });

  it("is the same however a snapshot is told in parts", () => {
    fc.assert(
      fc.property(delta, fc.array(fc.nat({ max: 12 }), { maxLength: 4 }), (whole, cuts) => {
        const { markedKeys, marks, revokedTokens, forgottenTokens, changedKeys, ...last } = whole;
        const ends = [...cuts].sort((a, b) => a - b);
        const hash = new ContentHash();
        let from = 0;
        for (const to of [...ends, Number.POSITIVE_INFINITY]) {
          const ids = (all: Uint8Array) => all.subarray(from * 16, to * 16);
          hash.add({
            ...emptyDelta,
            ...{ markedKeys: ids(markedKeys), marks: marks.slice(from, to), revokedTokens: ids(revokedTokens) },
            ...{ forgottenTokens: ids(forgottenTokens), changedKeys: ids(changedKeys) },
          });
          from = to;
        }
        hash.add({ ...emptyDelta, ...last });
        expect(hexOf(hash.digest())).toBe(hexOf(contentHashOf(whole)));
      }),
      seeded,
    );
  });
});

const bytes32 = fc.uint8Array({ minLength: 32, maxLength: 32 });
const revision = fc.bigInt({ min: 0n, max: 2n ** 63n - 1n });
const statement = fc.record({
  kind: fc.constantFrom("snapshot", "delta", "heartbeat"),
  issuer: text,
  tenantId: text,
  feed: text,
  storeEpoch: text,
  prevRevision: revision,
  revision,
  hash: bytes32,
  digest: bytes32,
  asOfMs: timeMs,
  contentHash: bytes32,
}) as fc.Arbitrary<FeedStatement>;

describe("what is signed of an event", () => {
  it("is another text if anything is another, also if one field's end is the next one's beginning", () => {
    fc.assert(
      fc.property(statement, statement, fc.nat({ max: 2 }), (a, b, cut) => {
        expect(feedStatementBytes(a).equals(feedStatementBytes(b))).toBe(wordsOf(a) === wordsOf(b));
        const moved = { ...a, issuer: a.issuer.slice(0, cut), tenantId: a.issuer.slice(cut) + a.tenantId };
        expect(feedStatementBytes(a).equals(feedStatementBytes(moved))).toBe(moved.issuer === a.issuer);
        for (const name of Object.keys(a) as (keyof FeedStatement)[]) {
          const mixed = { ...a, [name]: b[name] } as FeedStatement;
          expect(feedStatementBytes(mixed).equals(feedStatementBytes(a))).toBe(wordsOf(mixed) === wordsOf(a));
        }
      }),
      seeded,
    );
  });

  it.each([
    ["a hash of another length", { hash: new Uint8Array(31) }],
    ["a negative revision", { revision: -1n }],
    ["a name that is too long", { feed: "x".repeat(65_536) }],
  ])("is nothing for %s", (_name, fields) => {
    const [one] = fc.sample(statement, { numRuns: 1, seed: 1 });
    expect(() => feedStatementBytes({ ...(one as FeedStatement), ...fields })).toThrow(TypeError);
  });
});

/** JWKs have no order of members. */
function sorted(told: KeySetDelta): unknown {
  const keys = told.signingKeys?.map((key) => ({ ...key, publicJwk: Object.entries(key.publicJwk).sort() }));
  return { ...told, signingKeys: keys };
}
