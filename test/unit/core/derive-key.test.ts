import { createHmac } from "node:crypto";
import { describe, expect, it } from "vitest";
import { deriveKey } from "../../../services/core/derive-key.ts";

const secret = Buffer.alloc(32, 7);
const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");

describe("deriveKey", () => {
  it("is HKDF-SHA-256 with empty salt and the info of the format", () => {
    const info = Buffer.concat([
      Buffer.from("ichor/v1/seal\0"),
      Buffer.from("0003", "hex"),
      Buffer.from("abc"),
      Buffer.from("0001ff", "hex"),
    ]);
    const extracted = createHmac("sha256", Buffer.alloc(32)).update(secret).digest();
    const expanded = createHmac("sha256", extracted).update(info).update(Buffer.of(1)).digest();
    expect(hex(deriveKey(secret, "seal", ["abc", Buffer.of(255)]))).toBe(hex(expanded));
  });

  it("gives another key for another secret, purpose, and division into fields", () => {
    const keys = [
      deriveKey(secret, "seal", ["ab", "c"]),
      deriveKey(secret, "seal", ["a", "bc"]),
      deriveKey(secret, "seal", ["abc"]),
      deriveKey(secret, "seal"),
      deriveKey(secret, "seal\0", []),
      deriveKey(Buffer.alloc(32, 8), "seal"),
    ];
    expect(new Set(keys.map(hex)).size).toBe(keys.length);
  });

  it("refuses a field that is too long for its length", () => {
    expect(() => deriveKey(secret, "seal", [Buffer.alloc(65_536)])).toThrow(RangeError);
  });
});
