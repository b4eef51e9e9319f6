import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { attenuateMacaroon } from "../../../services/core/macaroon/attenuate.ts";
import { caveatBytesMax, readCaveat } from "../../../services/core/macaroon/caveat.ts";
import { hasAuthenticSignature } from "../../../services/core/macaroon/chain.ts";
import { readMacaroonJson } from "../../../services/core/macaroon/codec-json.ts";
import { readMacaroonV1 } from "../../../services/core/macaroon/codec-v1.ts";
import { readMacaroonV2, writeMacaroonV2 } from "../../../services/core/macaroon/codec-v2.ts";
import type { Macaroon } from "../../../services/core/macaroon/macaroon.ts";
import { formatMacaroonText, readMacaroonText } from "../../../services/core/macaroon/text.ts";
import { writeCaveats } from "../../../services/core/macaroon/write-caveats.ts";
import { authenticate, codeOf, someMacaroon, someRoot } from "../../unit/core/macaroon/some-macaroon.ts";

const seed = 20_261_124;

const data = fc.uint8Array({ maxLength: 300 });
const caveat = fc.oneof(
  data.map((id) => ({ id })),
  fc.record({ id: data, verificationId: fc.uint8Array({ minLength: 1, maxLength: 80 }) }),
  fc.record({
    id: data,
    verificationId: fc.uint8Array({ minLength: 1, maxLength: 80 }),
    location: fc.constantFrom("x", "é"),
  }),
);
const macaroon: fc.Arbitrary<Macaroon> = fc.record({
  location: fc.constantFrom("", "https://keys.example", "é"),
  identifier: data,
  caveats: fc.array(caveat, { maxLength: 8 }),
  signature: fc.uint8Array({ minLength: 32, maxLength: 32 }),
});

describe("macaroon codec", () => {
  it("reads back what it writes", () => {
    const property = fc.property(macaroon, (given) => {
      expect(readMacaroonV2(Uint8Array.from(writeMacaroonV2(given)))).toEqual(given);
    });
    fc.assert(property, { seed, numRuns: 3000 });
  });

  it("has one encoding for what it reads, and never throws", () => {
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 200 }),
      fc.tuple(macaroon, fc.nat(), fc.integer({ min: 1, max: 255 })).map(([given, at, change]) => {
        const encoded = Uint8Array.from(writeMacaroonV2(given));
        encoded[at % encoded.length] = (encoded[at % encoded.length] ?? 0) ^ change;
        return encoded;
      }),
    );
    const property = fc.property(bytes, (given) => {
      const read = readMacaroonV2(given);
      if (read) expect(writeMacaroonV2(read)).toEqual(Buffer.from(given));
      readMacaroonV1(given);
      readMacaroonJson(Buffer.from(given).toString());
    });
    fc.assert(property, { seed, numRuns: 20_000 });
  });
});

describe("a macaroon", () => {
  const rich = attenuateMacaroon(someMacaroon(), [
    "scope = a:b c",
    "cidr = 192.0.2.0/24",
    "ctx.a = b",
    "ctx.c ^= d",
    "nbf >= 1",
  ]);
  const demand = { context: { a: "b", c: "d" } };

  it("is refused with any bit of its bytes flipped, the location's too", () => {
    const { bytes } = readMacaroonText(rich) as { bytes: Buffer };
    const codes = new Map<string, number>();
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const flipped = Buffer.from(bytes);
      flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      const code = codeOf(`ichor_mc_${flipped.toString("base64url")}`, demand);
      codes.set(code, (codes.get(code) ?? 0) + 1);
    }
    expect(codeOf(rich, demand)).toBe("VALID");
    expect([...codes.keys()].sort()).toEqual(["MALFORMED", "SIGNATURE_INVALID"]);
    expect([...codes.values()].reduce((a, b) => a + b)).toBe(bytes.length * 8);
  });

  it("is refused with any character of its text replaced", () => {
    const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_=+/. \n\u0000é";
    const start = "ichor_mc_".length;
    for (let at = start; at < rich.length; at++) {
      for (const other of alphabet) {
        if (other === rich[at]) continue;
        const changed = rich.slice(0, at) + other + rich.slice(at + 1);
        expect(authenticate(changed).authentic).toBe(false);
      }
    }
  });

  it("is refused with a caveat taken out, moved or doubled", () => {
    const { macaroon: read } = readMacaroonText(rich) as { macaroon: Macaroon };
    const { caveats } = read;
    const changed = [
      ...caveats.map((_, i) => caveats.filter((_other, j) => j !== i)),
      ...caveats.slice(1).map((_, i) => caveats.with(i, caveats[i + 1] as never).with(i + 1, caveats[i] as never)),
      ...caveats.map((one, i) => caveats.toSpliced(i, 0, one)),
    ];
    expect(changed.length).toBeGreaterThan(20);
    for (const wrong of changed) {
      const text = formatMacaroonText("ichor_mc", writeMacaroonV2({ ...read, caveats: wrong }));
      expect(codeOf(text, demand)).toBe("SIGNATURE_INVALID");
    }
    expect(hasAuthenticSignature(someRoot, read)).toBe(true);
  });
});

describe("caveat", () => {
  it("is written back byte for byte if it is read, whatever the bytes", () => {
    const lead = fc.constantFrom(
      "exp < ",
      "nbf >= ",
      "scope = ",
      "aud = ",
      "cidr = ",
      "ctx.a = ",
      "ctx.a ^= ",
      "ctx.",
      "",
    );
    const rest = fc.oneof(
      fc.string({ unit: "binary", maxLength: 12 }),
      fc.string({ unit: fc.constantFrom(..."01 9a:*/.-"), maxLength: 12 }),
      fc.constantFrom("10.0.0.0/8", "a:b c:*", "1800000000"),
    );
    const bytes = fc.oneof(
      fc.tuple(lead, rest).map((parts) => Buffer.from(parts.join(""))),
      fc.uint8Array({ maxLength: 40 }).map((tail) => Buffer.concat([Buffer.from("ctx.a = "), tail])),
    );
    let read = 0;
    const property = fc.property(bytes, (given) => {
      const constraints = readCaveat(given);
      if (!constraints) return;
      read++;
      expect(Object.keys(constraints)).toHaveLength(1);
      expect(writeCaveats(constraints).map((text) => Buffer.from(text))).toEqual([given]);
    });
    fc.assert(property, { seed, numRuns: 20_000 });
    expect(read).toBeGreaterThan(3000);
    expect(caveatBytesMax).toBe(1024);
  });
});
