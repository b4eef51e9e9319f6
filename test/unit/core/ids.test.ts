import { describe, expect, it } from "vitest";
import { decodeBase32, encodeBase32 } from "../../../services/core/base32.ts";
import { idBytes, idFromBytes, isKeyId, isTenantId, type KeyId, newId, parseId } from "../../../services/core/ids.ts";
import { madeMs, someKeyId, someTenantId } from "./some-key.ts";

const randomBytes = new Uint8Array(10).fill(0xff);

describe("newId", () => {
  it("makes a UUID of version 7 and the RFC's variant whatever the random bytes are", () => {
    for (const fill of [0, 0x55, 0xff]) {
      const bytes = idBytes(newId("key", madeMs, new Uint8Array(10).fill(fill)));
      expect((bytes[6] ?? 0) >> 4).toBe(7);
      expect((bytes[8] ?? 0) >> 6).toBe(2);
    }
  });

  it("makes ids that sort by time", () => {
    const times = [0, 1, 255, 2 ** 32 - 1, 2 ** 32, madeMs, madeMs + 1, 2 ** 48 - 1];
    const ids = times.map((timeMs) => newId("key", timeMs, randomBytes));
    expect([...ids].sort()).toEqual(ids);
    expect(new Set(ids).size).toBe(times.length);
  });

  it("leaves the random bytes that it was given as they are", () => {
    const random = new Uint8Array(10).fill(0xff);
    newId("key", madeMs, random);
    expect(random).toEqual(randomBytes);
  });

  it.each([-1, 2 ** 48, 1.5, Number.NaN])("throws TypeError for the time %d", (timeMs) => {
    expect(() => newId("key", timeMs, randomBytes)).toThrow(TypeError);
  });

  it.each([0, 9, 11])("throws TypeError for %d random bytes", (size) => {
    expect(() => newId("key", madeMs, new Uint8Array(size))).toThrow(TypeError);
  });
});

describe("parseId", () => {
  it("takes an id of its own kind only", () => {
    expect(parseId("key", someKeyId)).toBe(someKeyId);
    expect(parseId("ten", someKeyId)).toBeUndefined();
    expect(isKeyId(someKeyId) && isTenantId(someTenantId)).toBe(true);
    expect(isKeyId(someTenantId) || isTenantId(someKeyId)).toBe(false);
  });

  it("refuses every text but the canonical one", () => {
    const others = [
      "",
      someKeyId.toUpperCase(),
      ` ${someKeyId}`,
      `${someKeyId}\n`,
      someKeyId.slice(4),
      someKeyId.replace("_", "-"),
      `key_8${someKeyId.slice(5)}`,
      `${someKeyId.slice(0, -1)}\u0131`,
      `key_${"\u0030\u0660".repeat(13)}`,
    ];
    for (const other of others) expect(parseId("key", other), other).toBeUndefined();
  });
});

describe("idBytes", () => {
  it("throws TypeError for what isn't an id", () => {
    expect(() => idBytes("key_" as KeyId)).toThrow(TypeError);
  });

  it("tells apart ids that differ in one bit", () => {
    const bytes = new Uint8Array(16);
    const texts = new Set([idFromBytes("key", bytes)]);
    for (let bit = 0; bit < 128; bit++) {
      const other = new Uint8Array(16);
      other[bit >> 3] = 1 << (bit & 7);
      texts.add(idFromBytes("key", other));
      expect(decodeBase32(encodeBase32(other))).toEqual(other);
    }
    expect(texts.size).toBe(129);
  });

  it("takes 16 bytes and no other number", () => {
    expect(() => encodeBase32(new Uint8Array(15))).toThrow(TypeError);
    expect(() => idFromBytes("key", new Uint8Array(17))).toThrow(TypeError);
  });
});
