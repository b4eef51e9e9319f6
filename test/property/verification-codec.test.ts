import { create, fromJsonString, type MessageInitShape, toBinary, toJsonString } from "@bufbuild/protobuf";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { VerifyCredentialRequestSchema, VerifyCredentialResponseSchema } from "../../gen/ichor/v1/verification_pb.ts";
import { writeVerifyAnswerBytes } from "../../services/wire/verification-binary.ts";
import { readVerifyRequest, writeVerifyAnswer } from "../../services/wire/verification-json.ts";

const texts = fc.string({ unit: "grapheme", maxLength: 20 });
const digits = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });

/** Fields as clients send them: mostly plain ones, in any order, now and then what only protobuf-es understands. */
const fields = fc
  .record(
    {
      credential: texts,
      requiredScopes: fc.array(texts, { maxLength: 3 }),
      audience: texts,
      clientIp: texts,
      noCache: fc.boolean(),
      minRevision: fc.oneof(digits.map(String), fc.integer(), fc.constant("01"), fc.constant("1e3")),
      cost: digits.map(String),
      context: fc.dictionary(texts, texts, { maxKeys: 2 }),
      unknown: fc.anything(),
    },
    { requiredKeys: [] },
  )
  .chain((record) => fc.shuffledSubarray(Object.entries(record)).map((entries) => Object.fromEntries(entries)));

const ms = fc.integer({ min: -1, max: 999 }).map((part) => part * 1_000_000);
const time = fc.record({
  seconds: fc.bigInt({ min: -5n, max: 253_402_300_799n }),
  nanos: fc.oneof(ms, fc.constant(7)),
});
const key = fc.record(
  {
    id: texts,
    name: texts,
    ownerId: texts,
    tenantId: texts,
    scopes: fc.array(texts, { maxLength: 3 }),
    labels: fc.dictionary(texts, texts, { maxKeys: 3 }),
    metadata: fc.dictionary(texts, fc.jsonValue()) as fc.Arbitrary<Record<string, never>>,
    expireTime: time,
    secretVersionId: texts,
  },
  { requiredKeys: [] },
);
const laterTime = fc.record({
  seconds: fc.bigInt({ min: 0n, max: 253_402_300_799n }),
  nanos: fc.integer({ min: 0, max: 999 }).map((part) => part * 1_000_000),
});
const limit = fc.record(
  {
    name: texts,
    remaining: fc.bigInt({ min: 0n, max: 1_000_000_000n }),
    resetTime: fc.oneof({ weight: 19, arbitrary: laterTime }, time),
    limit: fc.bigInt({ min: 0n, max: 1_000_000_000n }),
    retryTime: laterTime,
  },
  { requiredKeys: [] },
);
const answers = fc.record(
  {
    valid: fc.boolean(),
    code: fc.integer({ min: 0, max: 14 }),
    kind: fc.integer({ min: 0, max: 4 }),
    key,
    tokenId: texts,
    rateLimits: fc.array(limit, { maxLength: 3 }),
    revision: fc.bigInt({ min: 0n, max: 2n ** 63n - 1n }),
    age: time,
  },
  { requiredKeys: [] },
);

function readBySchema(text: string): unknown {
  try {
    return fromJsonString(VerifyCredentialRequestSchema, text);
  } catch {
    return "refused";
  }
}

describe("the codec of verifications by hand", () => {
  it("reads what it reads as protobuf-es does", () => {
    let read = 0;
    fc.assert(
      fc.property(fields, (value) => {
        const text = JSON.stringify(value);
        const quick = readVerifyRequest(text);
        if (quick === undefined) return;
        read += 1;
        expect({ ...quick }).toEqual({ ...(readBySchema(text) as object) });
      }),
      { seed: 1, numRuns: 2_000 },
    );
    expect(read).toBeGreaterThan(200);
  });

  it("reads a plain request itself", () => {
    const text = JSON.stringify({ credential: "ichor_sk_x", requiredScopes: ["a:b"], minRevision: "7", noCache: true });
    expect(readVerifyRequest(text)).toMatchObject({ credential: "ichor_sk_x", minRevision: 7n, noCache: true });
  });

  it.each([
    '{"credential":"a","credential":"b"}',
    '{"credential":"a" }',
    '{"credential":"\\u0061"}',
    '{"credential":"a","context":{"x":"1"}}',
    '{"credential":"a","min_revision":"1"}',
    '{"credential":"a","minRevision":"9223372036854775808"}',
    '{"credential":"a","requiredScopes":[null]}',
    '{"credential":null}',
    '{"__proto__":"x"}',
    '{"credential":',
    '{"credential":"a",}',
    '{"credential":"a"}}',
    '{"credential":"a"}{"audience":"b"}',
    '{"requiredScopes":["a",]}',
    "[]",
    "null",
  ])("leaves %s to protobuf-es", (text) => {
    expect(readVerifyRequest(text)).toBeUndefined();
  });

  it("writes what it writes as protobuf-es does", () => {
    let written = 0;
    fc.assert(
      fc.property(answers, (value) => {
        const init = value as MessageInitShape<typeof VerifyCredentialResponseSchema>;
        const quick = writeVerifyAnswer(init);
        if (quick === undefined) return;
        written += 1;
        expect(quick).toBe(toJsonString(VerifyCredentialResponseSchema, create(VerifyCredentialResponseSchema, init)));
      }),
      { seed: 2, numRuns: 2_000 },
    );
    expect(written).toBeGreaterThan(200);
  });

  it("writes a frozen key again as it wrote it first, alone and within", () => {
    fc.assert(
      fc.property(key, answers, (said, other) => {
        const frozen = Object.freeze(said);
        const inits = [{ key: frozen }, { ...other, key: frozen }] as MessageInitShape<
          typeof VerifyCredentialResponseSchema
        >[];
        for (const init of inits) {
          const message = create(VerifyCredentialResponseSchema, init);
          const text = writeVerifyAnswer(init);
          if (text !== undefined) expect(text).toBe(toJsonString(VerifyCredentialResponseSchema, message));
          const bytes = writeVerifyAnswerBytes(init);
          if (bytes !== undefined)
            expect(Buffer.from(bytes)).toEqual(Buffer.from(toBinary(VerifyCredentialResponseSchema, message)));
        }
      }),
      { seed: 4, numRuns: 500 },
    );
  });

  it("writes bytes as protobuf-es does", () => {
    let written = 0;
    fc.assert(
      fc.property(answers, (value) => {
        const init = value as MessageInitShape<typeof VerifyCredentialResponseSchema>;
        const quick = writeVerifyAnswerBytes(init);
        if (quick === undefined) return;
        written += 1;
        const expected = toBinary(VerifyCredentialResponseSchema, create(VerifyCredentialResponseSchema, init));
        expect(Buffer.from(quick).toString("hex")).toBe(Buffer.from(expected).toString("hex"));
      }),
      { seed: 3, numRuns: 2_000 },
    );
    expect(written).toBeGreaterThan(100);
  });

  it.each([
    ["long texts", { key: { name: "n".repeat(200), scopes: Array(20).fill("é".repeat(30)) } }],
    ["a text whose length takes two bytes", { tokenId: "t".repeat(128) }],
    ["what is larger than the scratch", { tokenId: "t".repeat(17_000) }],
    ["metadata", { key: { metadata: { a: 1 } } }],
    ["limits' states", { rateLimits: [{ name: "x", remaining: 7n, resetTime: { seconds: 9n, nanos: 0 } }, {}] }],
    ["a number beyond 2^53", { revision: 2n ** 60n }],
  ])("writes %s as protobuf-es does, or leaves it", (_name, init) => {
    const expected = toBinary(VerifyCredentialResponseSchema, create(VerifyCredentialResponseSchema, init));
    const quick = writeVerifyAnswerBytes(init);
    if (quick !== undefined) expect(Buffer.from(quick)).toEqual(Buffer.from(expected));
  });
});
