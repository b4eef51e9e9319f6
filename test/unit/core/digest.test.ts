import { describe, expect, it } from "vitest";
import { digestsEqual, importedDigest, issuedDigest, needsRebind, sha256 } from "../../../services/core/digest.ts";
import { otherKeyId, otherTenantId, someKeyId, somePepper, someTenantId } from "./some-key.ts";

const pepper = somePepper(1);
const secret = new Uint8Array(32).fill(9);
const otherSecret = new Uint8Array(32).fill(8);

describe("issuedDigest", () => {
  const digest = issuedDigest(pepper, someTenantId, someKeyId, secret);

  it.each([
    ["pepper", issuedDigest(somePepper(2), someTenantId, someKeyId, secret)],
    ["tenant", issuedDigest(pepper, otherTenantId, someKeyId, secret)],
    ["key", issuedDigest(pepper, someTenantId, otherKeyId, secret)],
    ["secret", issuedDigest(pepper, someTenantId, someKeyId, otherSecret)],
  ])("is another for another %s, so that a row moved there is worthless", (_, other) => {
    expect(other).toHaveLength(32);
    expect(digestsEqual(digest, other)).toBe(false);
  });

  it("throws TypeError for a secret or pepper of another length, which would be no secret", () => {
    expect(() => issuedDigest(pepper, someTenantId, someKeyId, new Uint8Array(31))).toThrow(TypeError);
    const empty = { id: "empty", key: new Uint8Array(0) };
    expect(() => issuedDigest(empty, someTenantId, someKeyId, secret)).toThrow(TypeError);
  });
});

describe("importedDigest", () => {
  it("is the same for the raw key and for who knows its SHA-256 only", () => {
    const raw = "a key of another system";
    const known = Buffer.from(Buffer.from(sha256(raw)).toString("hex"), "hex");
    expect(importedDigest(pepper, someTenantId, known)).toEqual(importedDigest(pepper, someTenantId, sha256(raw)));
  });

  it("is another for another tenant or pepper", () => {
    const digest = importedDigest(pepper, someTenantId, secret);
    expect(importedDigest(pepper, otherTenantId, secret)).not.toEqual(digest);
    expect(importedDigest(somePepper(2), someTenantId, secret)).not.toEqual(digest);
  });

  it("takes a SHA-256 and nothing else", () => {
    expect(() => importedDigest(pepper, someTenantId, new Uint8Array(64))).toThrow(TypeError);
  });
});

describe("digestsEqual", () => {
  it("compares contents, and calls digests of other lengths unequal instead of throwing", () => {
    expect(digestsEqual(new Uint8Array(32), Buffer.alloc(32))).toBe(true);
    expect(digestsEqual(new Uint8Array(32), new Uint8Array(32).fill(1, 31))).toBe(false);
    expect(digestsEqual(new Uint8Array(32), new Uint8Array(31))).toBe(false);
  });
});

describe("needsRebind", () => {
  it("asks to bind secrets of an older pepper to the current one", () => {
    expect(needsRebind({ pepperId: "pepper-1" }, "pepper-2")).toBe(true);
    expect(needsRebind({ pepperId: "pepper-2" }, "pepper-2")).toBe(false);
  });
});
