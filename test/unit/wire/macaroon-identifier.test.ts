import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { MacaroonIdentifierSchema } from "../../../gen/ichor/v1/macaroon_identifier_pb.ts";
import { idBytes } from "../../../services/core/ids.ts";
import { decodeMacaroonIdentifier, encodeMacaroonIdentifier } from "../../../services/wire/macaroon-identifier.ts";
import { someIdentifier } from "../core/macaroon/some-macaroon.ts";
import { someTenantId } from "../core/some-key.ts";

const encoded = encodeMacaroonIdentifier(someIdentifier);
const message = fromBinary(MacaroonIdentifierSchema, encoded);
const withFields = (changes: object) =>
  toBinary(MacaroonIdentifierSchema, create(MacaroonIdentifierSchema, { ...message, ...changes }));

describe("macaroon identifier", () => {
  it("is the message of the schema", () => {
    expect(message).toMatchObject({ version: 1, tokenEpoch: 3n, ownerId: "acme", audience: someIdentifier.audience });
    expect(Buffer.from(message.tenantId).equals(idBytes(someTenantId))).toBe(true);
  });

  it.each([
    {},
    { tokenEpoch: 0, secretVersion: 0, ownerId: "" },
    { tokenEpoch: 2 ** 48, secretVersion: 2 ** 32 - 1, generation: 2 ** 32 - 1 },
    { ownerId: "é😀\ufeff".repeat(60), audience: "a".repeat(255), masterId: "m".repeat(64) },
    { issueTimeSeconds: 127 },
    { issueTimeSeconds: 128 },
    { issueTimeSeconds: 999_999_999_999 },
  ])("comes back as it was: %j", (changes) => {
    const identifier = { ...someIdentifier, ...changes };
    expect(decodeMacaroonIdentifier(encodeMacaroonIdentifier(identifier))).toEqual(identifier);
  });

  it("knows every field of the schema", () => {
    expect(MacaroonIdentifierSchema.fields.map(({ number }) => number)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
    expect(Object.keys(someIdentifier)).toHaveLength(MacaroonIdentifierSchema.fields.length - 1);
  });

  it.each([
    ["another version", withFields({ version: 2 })],
    ["no version", withFields({ version: 0 })],
    ["a short id", withFields({ keyId: Buffer.alloc(15) })],
    ["no id", withFields({ tokenId: Buffer.alloc(0) })],
    ["no audience", withFields({ audience: "" })],
    ["an audience that is none", withFields({ audience: "a b" })],
    ["no master", withFields({ masterId: "" })],
    ["a long master", withFields({ masterId: "m".repeat(65) })],
    ["generation 0", withFields({ generation: 0 })],
    ["an epoch that numbers don't hold", withFields({ tokenEpoch: 2n ** 53n })],
    ["a time beyond caveats", withFields({ issueTimeSeconds: 10n ** 12n })],
    ["an unknown field", Buffer.concat([encoded, Buffer.from("620161", "hex")])],
    ["a field of another type", Buffer.concat([encoded, Buffer.from("0a0101", "hex")])],
    ["text that is not UTF-8", Buffer.concat([encoded, Buffer.from("3201ff", "hex")])],
    ["a number that doesn't end", Buffer.concat([encoded, Buffer.from("28ffffffffffffffff", "hex")])],
    ["a text that is cut off", encoded.subarray(0, -5)],
    ["a length beyond the end", Buffer.concat([encoded, Buffer.from("327f", "hex")])],
    ["a tag alone", Buffer.concat([encoded, Buffer.from("28", "hex")])],
    ["nothing", Buffer.alloc(0)],
  ])("is refused with %s", (_what, bytes) => {
    expect(decodeMacaroonIdentifier(bytes)).toBeUndefined();
  });

  it("is refused with any byte cut off its end, and never throws on a changed one", () => {
    for (let length = 0; length < encoded.length; length++) {
      const cut = decodeMacaroonIdentifier(encoded.subarray(0, length));
      expect(cut?.issueTimeSeconds ?? 0).toBe(0);
    }
    for (let bit = 0; bit < encoded.length * 8; bit++) {
      const flipped = Uint8Array.from(encoded);
      flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      expect(() => decodeMacaroonIdentifier(flipped)).not.toThrow();
    }
  });
});
