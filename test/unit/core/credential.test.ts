import { describe, expect, it } from "vitest";
import { crc32Base62 } from "../../../services/core/crc32.ts";
import {
  ambiguousPrefixes,
  type CredentialPrefixes,
  classifyCredential,
  credentialBytesMax,
  formatIssuedKey,
  isCredentialPrefix,
  issuedKeyScannerPattern,
  parseIssuedKey,
} from "../../../services/core/credential.ts";
import { sha256 } from "../../../services/core/digest.ts";
import { idSuffix } from "../../../services/core/ids.ts";
import { someKeyId } from "./some-key.ts";

const secret = new Uint8Array(32).fill(0xa5);
const prefixes: CredentialPrefixes = {
  secretPrefixes: ["ichor_sk", "acme"],
  publicPrefixes: ["ichor_pk"],
  retiredPrefixes: ["old_sk"],
  macaroonPrefix: "ichor_mc",
  retiredMacaroonPrefixes: ["old_mc"],
};
const issued = formatIssuedKey("ichor_sk", someKeyId, secret);
/** The same with a right checksum over a wrong middle. */
const resealed = (middle: string) => `ichor_sk_${middle}${crc32Base62(`ichor_sk_${middle}`)}`;

describe("classifyCredential", () => {
  it.each(["ichor_sk", "acme", "ichor_pk", "old_sk"])(
    "takes an issued key with the prefix %s of the tenant",
    (prefix) => {
      const text = formatIssuedKey(prefix, someKeyId, secret);
      expect(classifyCredential(text, prefixes)).toEqual({ kind: "ISSUED_KEY", prefix, keyId: someKeyId, secret });
    },
  );

  it.each(["ichor_mc", "old_mc"])("takes what begins with %s_ as a macaroon, whatever follows", (prefix) => {
    for (const rest of ["", "AgEL", "a.b.c", `sk_${"0".repeat(75)}`]) {
      const kind = "MACAROON";
      expect(classifyCredential(`${prefix}_${rest}`, prefixes)).toEqual({ kind, prefix, unverifiedText: rest });
    }
  });

  it.each([
    ["a wrong checksum", `${issued.slice(0, -1)}${issued.endsWith("0") ? "1" : "0"}`],
    ["an id above 2^128", resealed(`8${idSuffix(someKeyId).slice(1)}${issued.slice(35, -6)}`)],
    ["an id in upper case", resealed(`${idSuffix(someKeyId).toUpperCase()}${issued.slice(35, -6)}`)],
    ["a secret above 2^256", resealed(`${idSuffix(someKeyId)}${"z".repeat(43)}`)],
    ["a secret with a foreign character", resealed(`${idSuffix(someKeyId)}${"-".repeat(43)}`)],
    ["a secret outside ASCII", resealed(`${idSuffix(someKeyId)}${"\u0130".repeat(43)}`)],
  ])("calls an issued key with %s malformed", (_, text) => {
    expect(classifyCredential(text, prefixes)).toEqual({ kind: "MALFORMED", meantAs: "ISSUED_KEY" });
  });

  it.each(["a.b.c", "eyJhbGciOiJFZERTQSJ9.e30.c2ln", "eyJhbGciOiJub25lIn0.e30."])("takes %s as a JWT", (text) => {
    expect(classifyCredential(text, prefixes)).toEqual({ kind: "JWT", unverifiedText: text });
  });

  it.each([
    ["a prefix of no tenant", formatIssuedKey("foreign", someKeyId, secret)],
    ["a tenant's prefix and 74 characters", issued.slice(0, -1)],
    ["a tenant's prefix and 76 characters", `${issued}0`],
    ["a tenant's prefix in upper case", issued.replace("ichor", "ICHOR")],
    ["another separator", issued.replace("ichor_sk_", "ichor_sk-")],
    ["white space before an issued key", ` ${issued}`],
    ["two base64url parts", "abcdefgh.abcdefgh"],
    ["four base64url parts", "a.b.c.d"],
    ["an empty first part", ".b.c"],
    ["padded base64 parts", "YQ==.YQ==.YQ=="],
    ["anything", "sk_live_4eC39HqLyjWDarjtT1zdp7dc"],
    ["something outside ASCII", "schl\u00fcssel-\u2603-0123456789"],
  ])("takes %s as an imported key, of which it keeps the SHA-256 only", (_, text) => {
    expect(classifyCredential(text, prefixes)).toEqual({ kind: "IMPORTED_KEY", rawSha256: sha256(text) });
  });

  it("calls no text at all malformed", () => {
    expect(classifyCredential("", prefixes)).toEqual({ kind: "MALFORMED" });
  });

  it.each([
    ["x", 8192],
    ["\u00fc", 4096],
    ["\u2603", 2730],
    ["\u{1f511}", 2048],
  ])("looks at no more than 8 KiB of UTF-8, counted in bytes: %s", (character, fitting) => {
    expect(classifyCredential(character.repeat(fitting), prefixes).kind).toBe("IMPORTED_KEY");
    expect(classifyCredential(character.repeat(fitting + 1), prefixes)).toEqual({ kind: "MALFORMED" });
  });

  it("takes no longer for the longest text than for others", () => {
    const hostile = ["a", "_", ".", "a.", "ichor_sk_", "-"].map((part) =>
      part.repeat(credentialBytesMax / part.length),
    );
    const startMs = performance.now();
    for (const text of hostile) classifyCredential(text, prefixes);
    expect(performance.now() - startMs).toBeLessThan(200);
  });
});

describe("parseIssuedKey", () => {
  it("reads from the end, so that a prefix may contain anything that its grammar allows", () => {
    for (const prefix of ["a0", "a_b_c", "a__________________9", "sk_000"]) {
      expect(parseIssuedKey(formatIssuedKey(prefix, someKeyId, secret))?.prefix).toBe(prefix);
    }
  });

  it.each(["", "_", "a", "Ichor", "0a", "a_", "a".repeat(21)])(
    "refuses the prefix %j even with a right checksum",
    (prefix) => {
      const checked = `${prefix}_${idSuffix(someKeyId)}${issued.slice(35, -6)}`;
      expect(parseIssuedKey(checked + crc32Base62(checked))).toBeUndefined();
      expect(isCredentialPrefix(prefix)).toBe(false);
      expect(() => formatIssuedKey(prefix, someKeyId, secret)).toThrow(TypeError);
    },
  );

  it("refuses texts that are too short to hold anything", () => {
    for (let length = 0; length < 78; length++) expect(parseIssuedKey("_".repeat(length))).toBeUndefined();
  });
});

describe("ambiguousPrefixes", () => {
  it("finds none in the settings of a sensible tenant", () => {
    expect(ambiguousPrefixes(prefixes)).toEqual([]);
  });

  it.each<[string, Partial<CredentialPrefixes>, readonly string[]]>([
    ["equals a macaroon prefix", { secretPrefixes: ["ichor_mc"] }, ["ichor_mc"]],
    ["equals a retired macaroon prefix", { retiredPrefixes: ["old_mc"] }, ["old_mc"]],
    ["begins with a macaroon prefix", { macaroonPrefix: "ichor" }, ["ichor_sk", "ichor_pk"]],
    ["is a macaroon prefix that begins with another", { retiredMacaroonPrefixes: ["ichor_mc_2"] }, ["ichor_mc_2"]],
  ])("finds a prefix that %s", (_, changes, found) => {
    expect(ambiguousPrefixes({ ...prefixes, ...changes })).toEqual(found);
  });

  it("lets a macaroon prefix begin with a key prefix, since an issued key's id has no underscore", () => {
    expect(ambiguousPrefixes({ ...prefixes, macaroonPrefix: "ichor_sk_mc" })).toEqual([]);
    expect(classifyCredential(issued, { ...prefixes, macaroonPrefix: "ichor_sk_mc" }).kind).toBe("ISSUED_KEY");
  });
});

describe("the scanner's pattern", () => {
  const pattern = new RegExp(issuedKeyScannerPattern);

  it("finds an issued key in text, and all of it", () => {
    for (const around of [`key=${issued}`, `"${issued}"`, `${issued}\n`, `https://x/?k=${issued}&a=b`]) {
      expect(pattern.exec(around)?.[0]).toBe(issued);
    }
  });

  it("finds nothing in what is too short or too long", () => {
    expect(pattern.test(issued.slice(0, -1))).toBe(false);
    expect(pattern.test(`${issued}0`)).toBe(false);
  });
});
