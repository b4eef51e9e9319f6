import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { decodeBase32, encodeBase32 } from "../../../services/core/base32.ts";
import { decodeBase62, encodeBase62 } from "../../../services/core/base62.ts";
import { canonicalAddress, canonicalNetwork, inAnyNetwork } from "../../../services/core/cidr.ts";
import { type CredentialPrefixes, classifyCredential, formatIssuedKey } from "../../../services/core/credential.ts";
import { issuedDigest } from "../../../services/core/digest.ts";
import { idBytes, idFromBytes, newId, parseId } from "../../../services/core/ids.ts";
import { authenticateKey } from "../../../services/core/verification.ts";
import { peppersOf, someKey, somePepper, someTenantId, someVersion } from "../../unit/core/some-key.ts";

const seeded = { seed: 0x1c408, numRuns: 300 };
const bytes = (size: number) => fc.uint8Array({ minLength: size, maxLength: size });
const timeMs = fc.integer({ min: 0, max: 2 ** 48 - 1 });
const prefix = fc.stringMatching(/^[a-z][a-z0-9_]{0,18}[a-z0-9]$/);

describe("ids", () => {
  it("survive being written and read", () => {
    fc.assert(
      fc.property(timeMs, bytes(10), (time, random) => {
        const id = newId("key", time, random);
        expect(parseId("key", id)).toBe(id);
        expect(idFromBytes("key", idBytes(id))).toBe(id);
        expect(Buffer.from(idBytes(id)).readUIntBE(0, 6)).toBe(time);
      }),
      seeded,
    );
  });

  it("have one text: whatever is read is written the same", () => {
    const almost = fc.stringMatching(/^[0-9a-zA-Z]{26}$/);
    fc.assert(
      fc.property(fc.oneof(almost, bytes(16).map(encodeBase32)), (text) => {
        const read = decodeBase32(text);
        if (read) expect(encodeBase32(read)).toBe(text);
      }),
      seeded,
    );
  });

  it("sort as their bytes do", () => {
    fc.assert(
      fc.property(bytes(16), bytes(16), (a, b) => {
        expect(encodeBase32(a) < encodeBase32(b)).toBe(Buffer.compare(a, b) < 0);
      }),
      seeded,
    );
  });
});

describe("base62", () => {
  it("is the number that BigInt says, and reads back", () => {
    const alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    fc.assert(
      fc.property(bytes(32), (secret) => {
        const text = encodeBase62(secret);
        const value = [...text].reduce((sum, digit) => sum * 62n + BigInt(alphabet.indexOf(digit)), 0n);
        expect(value).toBe(BigInt(`0x${Buffer.from(secret).toString("hex")}`));
        expect(decodeBase62(text)).toEqual(secret);
      }),
      seeded,
    );
  });

  it("has one text: whatever is read is written the same", () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[0-9A-Za-z]{43}$/), (text) => {
        const read = decodeBase62(text);
        if (read) expect(encodeBase62(read)).toBe(text);
      }),
      seeded,
    );
  });
});

describe("issued keys", () => {
  const pepper = somePepper(1);
  const prefixesOf = (own: string): CredentialPrefixes => ({
    secretPrefixes: [own],
    publicPrefixes: [],
    retiredPrefixes: [],
    macaroonPrefix: "ichor_mc",
    retiredMacaroonPrefixes: [],
  });
  const keyParts = fc.tuple(
    prefix.filter((own) => own !== "ichor_mc" && !own.startsWith("ichor_mc_")),
    timeMs,
    bytes(10),
    bytes(32),
  );

  it("survive being written and read", () => {
    fc.assert(
      fc.property(keyParts, ([own, time, random, secret]) => {
        const keyId = newId("key", time, random);
        const text = formatIssuedKey(own, keyId, secret);
        expect(text).toHaveLength(own.length + 76);
        expect(classifyCredential(text, prefixesOf(own))).toEqual({ kind: "ISSUED_KEY", prefix: own, keyId, secret });
      }),
      seeded,
    );
  });

  it("are never authentic with any one character changed, to whatever", () => {
    fc.assert(
      fc.property(
        keyParts,
        fc.nat(),
        fc.string({ unit: "binary", minLength: 1, maxLength: 1 }),
        (parts, place, other) => {
          const [own, time, random, secret] = parts;
          const keyId = newId("key", time, random);
          const text = formatIssuedKey(own, keyId, secret);
          const at = place % text.length;
          fc.pre(text[at] !== other);
          const changed = classifyCredential(text.slice(0, at) + other + text.slice(at + 1), prefixesOf(own));
          if (changed.kind !== "ISSUED_KEY" && changed.kind !== "IMPORTED_KEY") return;
          const digest = issuedDigest(pepper, someTenantId, keyId, secret);
          const key = someKey({ id: keyId, prefix: own, secretVersions: [someVersion({ digest })] });
          const answer = authenticateKey(changed, key, someTenantId, peppersOf(pepper));
          expect(answer).toEqual({ authentic: false, code: "NOT_FOUND" });
        },
      ),
      { ...seeded, numRuns: 1_000 },
    );
  });

  it("are malformed after any one typing error in id, secret or checksum", () => {
    const alphanumeric = fc.constantFrom(..."0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz");
    fc.assert(
      fc.property(keyParts, fc.nat({ max: 74 }), alphanumeric, ([own, time, random, secret], place, other) => {
        const text = formatIssuedKey(own, newId("key", time, random), secret);
        const at = own.length + 1 + place;
        fc.pre(text[at] !== other);
        const changed = text.slice(0, at) + other + text.slice(at + 1);
        expect(classifyCredential(changed, prefixesOf(own))).toEqual({ kind: "MALFORMED", meantAs: "ISSUED_KEY" });
      }),
      { ...seeded, numRuns: 1_000 },
    );
  });
});

describe("addresses", () => {
  const address = fc.oneof(fc.ipV4(), fc.ipV6());

  it("have one canonical text, which is its own", () => {
    fc.assert(
      fc.property(address, (text) => {
        const canonical = canonicalAddress(text) as string;
        expect(canonicalAddress(canonical)).toBe(canonical);
      }),
      seeded,
    );
  });

  it("are in each network that they are cut to, and in no network that differs in a bit before the cut", () => {
    fc.assert(
      fc.property(address, fc.nat(), fc.nat(), (text, length, place) => {
        const canonical = canonicalAddress(text) as string;
        const bits = canonical.includes(":") ? 128 : 32;
        const prefixLength = length % (bits + 1);
        const network = canonicalNetwork(`${canonical}/${prefixLength}`) as string;
        expect(inAnyNetwork(text, [network])).toBe(true);
        if (prefixLength === 0) return;
        const elsewhere = withBitFlipped(canonical, place % prefixLength);
        expect(inAnyNetwork(elsewhere, [network])).toBe(false);
      }),
      seeded,
    );
  });
});

/** Flips a bit of a canonical address by way of BigInt, apart from the code under test. */
function withBitFlipped(canonical: string, bit: number): string {
  if (!canonical.includes(":")) {
    const value = canonical.split(".").reduce((sum, part) => sum * 256n + BigInt(part), 0n) ^ (1n << BigInt(31 - bit));
    return [24n, 16n, 8n, 0n].map((shift) => (value >> shift) & 255n).join(".");
  }
  const [head = "", tail = ""] = canonical.split("::");
  const groups = [head, tail].map((half) => half.split(":").filter((group) => group !== ""));
  const [before = [], after = []] = groups;
  const missing = Array<string>(8 - before.length - after.length).fill("0");
  const all = [...before, ...missing, ...after].map((group) => Number.parseInt(group, 16));
  all[bit >> 4] = (all[bit >> 4] as number) ^ (0x8000 >> (bit & 15));
  return all.map((group) => group.toString(16)).join(":");
}
