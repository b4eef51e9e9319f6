import { describe, expect, it } from "vitest";
import { hmacWays } from "../../../../services/core/hmac-sha256.ts";
import { attenuateMacaroon, attenuateMacaroonV2 } from "../../../../services/core/macaroon/attenuate.ts";
import { audienceKey } from "../../../../services/core/macaroon/audience-key.ts";
import { chainRootOf } from "../../../../services/core/macaroon/chain.ts";
import { readMacaroonJson } from "../../../../services/core/macaroon/codec-json.ts";
import { readMacaroonV2, writeMacaroonV2 } from "../../../../services/core/macaroon/codec-v2.ts";
import type { Macaroon } from "../../../../services/core/macaroon/macaroon.ts";
import { mintMacaroon } from "../../../../services/core/macaroon/mint.ts";
import { formatMacaroonText, readMacaroonText } from "../../../../services/core/macaroon/text.ts";
import { encodeMacaroonIdentifier } from "../../../../services/wire/macaroon-identifier.ts";
import { madeMs, reasonOf, someKeyId, someTenantId } from "../some-key.ts";
import { npmMacaroon } from "./npm-macaroon.ts";
import {
  authenticate,
  codeOf,
  macaroonWith,
  madeSeconds,
  someAudience,
  someAudienceKey,
  someGrant,
  someIdentifier,
  someIssuer,
  someMacaroon,
  someRoot,
  someTokenId,
} from "./some-macaroon.ts";

const mandatory = [`exp < ${madeSeconds + 900}`, "scope = a:*", `aud = ${someAudience}`];
const bytesOfText = (text: string) => (readMacaroonText(text) as { bytes: Buffer }).bytes;

describe("authenticateMacaroon", () => {
  it("tells whose the token is and all that bounds it", () => {
    expect(authenticate(someMacaroon({ cidrs: ["192.0.2.0/24"] }))).toEqual({
      authentic: true,
      token: {
        kind: "MACAROON",
        tenantId: someTenantId,
        keyId: someKeyId,
        tokenId: someTokenId,
        ownerId: "acme",
        tokenEpoch: 3,
        secretVersion: 2,
        issueTimeMs: madeMs,
        grant: { ...someGrant, notBeforeMs: madeMs, cidrs: ["192.0.2.0/24"] },
      },
    });
  });

  it("refuses another audience's key, another generation's, and none", () => {
    const master = new Uint8Array(32).fill(7);
    const others = [
      audienceKey(master, someTenantId, "other", 1),
      audienceKey(master, someTenantId, someAudience, 2),
      audienceKey(new Uint8Array(32).fill(8), someTenantId, someAudience, 1),
    ];
    for (const key of others) {
      expect(authenticate(someMacaroon(), chainRootOf(key))).toEqual({ authentic: false, code: "SIGNATURE_INVALID" });
    }
  });

  it("refuses another issuer's, though no signature covers the location", () => {
    expect(authenticate(someMacaroon(), someRoot, "https://other.example")).toMatchObject({
      code: "SIGNATURE_INVALID",
    });
    expect(codeOf(macaroonWith(mandatory, { location: "https://other.example" }))).toBe("SIGNATURE_INVALID");
    expect(codeOf(macaroonWith(mandatory, { location: "" }))).toBe("SIGNATURE_INVALID");
  });

  it("asks for the signature before it reads any caveat", () => {
    const { macaroon } = readMacaroonText(macaroonWith(["nonsense"])) as { macaroon: Macaroon };
    const forged = { ...macaroon, signature: Buffer.alloc(32) };
    expect(codeOf(formatMacaroonText("ichor_mc", writeMacaroonV2(forged)))).toBe("SIGNATURE_INVALID");
  });

  it.each([
    ["every mandatory caveat", mandatory, "VALID"],
    ["no exp", mandatory.slice(1), "MALFORMED"],
    ["no scope", [mandatory[0], mandatory[2]], "MALFORMED"],
    ["no aud", mandatory.slice(0, 2), "MALFORMED"],
    ["none", [], "MALFORMED"],
    ["exactly 24 h", [`exp < ${madeSeconds + 86_400}`, ...mandatory.slice(1)], "VALID"],
    ["a second over 24 h", [`exp < ${madeSeconds + 86_401}`, ...mandatory.slice(1)], "MALFORMED"],
    ["over 24 h, then less", [`exp < ${madeSeconds + 86_401}`, ...mandatory], "VALID"],
    ["an unknown one", [...mandatory, "account = 1"], "UNSUPPORTED_CAVEAT"],
    ["a near miss", [...mandatory, "exp  < 1"], "UNSUPPORTED_CAVEAT"],
    ["only a near miss of a mandatory one", ["exp<9999999999", ...mandatory.slice(1)], "UNSUPPORTED_CAVEAT"],
    ["an empty one", [...mandatory, ""], "UNSUPPORTED_CAVEAT"],
    ["one of 1025 bytes", [...mandatory, `ctx.a = ${"x".repeat(1017)}`], "UNSUPPORTED_CAVEAT"],
    ["one that is not UTF-8", [...mandatory, Buffer.from("ctx.a = \xff", "latin1")], "UNSUPPORTED_CAVEAT"],
  ])("decides %s", (_what, caveats, code) => {
    expect(codeOf(macaroonWith(caveats as string[]))).toBe(code);
  });

  it("refuses a third-party caveat, discharged or not", () => {
    const third = { id: Buffer.from("t"), verificationId: Buffer.alloc(72), location: "https://third.example" };
    const caveats = [...mandatory.map((text) => ({ id: Buffer.from(text) })), third];
    expect(codeOf(macaroonWith([], { caveats }))).toBe("UNSUPPORTED_CAVEAT");
  });

  it("refuses an identifier of another version or of no form", () => {
    const identifier = Buffer.from(encodeMacaroonIdentifier(someIdentifier));
    const newer = Buffer.from(identifier);
    newer[1] = 2;
    expect(codeOf(macaroonWith(mandatory, { identifier: newer }))).toBe("MALFORMED");
    expect(codeOf(macaroonWith(mandatory, { identifier: Buffer.alloc(0) }))).toBe("MALFORMED");
    expect(codeOf(macaroonWith(mandatory, { identifier }))).toBe("VALID");
  });

  it.each([
    ["before its end", {}, madeMs + 899_999, 0, "VALID"],
    ["at its end", {}, madeMs + 900_000, 0, "EXPIRED"],
    ["after its end, within the leeway", {}, madeMs + 929_999, 30, "VALID"],
    ["after the leeway", {}, madeMs + 930_000, 30, "EXPIRED"],
    ["before its issue", {}, madeMs - 1, 0, "NOT_YET_VALID"],
    ["before its issue, within the leeway", {}, madeMs - 30_000, 30, "VALID"],
    ["another audience", { audience: "other" }, madeMs, 0, "AUDIENCE_MISMATCH"],
    ["no audience", { audience: undefined }, madeMs, 0, "AUDIENCE_MISMATCH"],
    ["a scope that it lacks", { requiredScopes: ["a:b", "b"] }, madeMs, 0, "INSUFFICIENT_SCOPE"],
  ])("then clears: %s", (_what, demand, nowMs, leeway, code) => {
    expect(codeOf(someMacaroon(), demand, nowMs, leeway)).toBe(code);
  });

  it("allows no leeway over 60 s", () => {
    expect(() => codeOf(someMacaroon(), {}, madeMs, 61)).toThrow(TypeError);
    expect(() => codeOf(someMacaroon(), {}, madeMs, Number.NaN)).toThrow(TypeError);
  });

  it("lets every scope caveat only narrow", () => {
    const narrowed = attenuateMacaroon(someMacaroon(), ["scope = a:b:* c", "scope = *"]);
    expect(codeOf(narrowed, { requiredScopes: ["a:b:c"] })).toBe("VALID");
    expect(codeOf(narrowed, { requiredScopes: ["a:b"] })).toBe("INSUFFICIENT_SCOPE");
    expect(codeOf(narrowed, { requiredScopes: ["c"] })).toBe("INSUFFICIENT_SCOPE");
    expect(codeOf(attenuateMacaroon(narrowed, ["scope = "]), { requiredScopes: [] })).toBe("VALID");
    expect(codeOf(attenuateMacaroon(narrowed, ["scope = "]), { requiredScopes: ["a:b:c"] })).toBe("INSUFFICIENT_SCOPE");
  });

  it("unmaps an IPv4 client and refuses an unknown one", () => {
    const local = attenuateMacaroon(someMacaroon(), ["cidr = 192.0.2.0/24"]);
    expect(codeOf(local, { clientIp: "::ffff:192.0.2.9" })).toBe("VALID");
    expect(codeOf(local, { clientIp: "198.51.100.1" })).toBe("IP_NOT_ALLOWED");
    expect(codeOf(local, { clientIp: undefined })).toBe("IP_NOT_ALLOWED");
  });

  it("compares context by bytes, own members only", () => {
    const bound = attenuateMacaroon(someMacaroon(), ["ctx.name = \u00e9", "ctx.path ^= /a/"]);
    expect(codeOf(bound, { context: { name: "\u00e9", path: "/a/b" } })).toBe("VALID");
    expect(codeOf(bound, { context: { name: "e\u0301", path: "/a/b" } })).toBe("CONSTRAINT_NOT_MET");
    expect(codeOf(bound, { context: { name: "\u00e9", path: "/A/b" } })).toBe("CONSTRAINT_NOT_MET");
    expect(codeOf(attenuateMacaroon(someMacaroon(), ["ctx.constructor ^= "]))).toBe("CONSTRAINT_NOT_MET");
  });
});

describe("mintMacaroon", () => {
  const order = {
    prefix: "ichor_mc",
    issuer: someIssuer,
    identifier: encodeMacaroonIdentifier(someIdentifier),
    issueTimeSeconds: madeSeconds,
    root: someRoot,
  };

  it("makes none that no verifier would take", () => {
    const grants = [
      { ...someGrant, audiences: [] },
      { ...someGrant, audiences: [someAudience, "other"] },
      { ...someGrant, expireTimeMs: madeMs + 86_401_000 },
    ];
    for (const grant of grants) expect(() => mintMacaroon({ ...order, grant })).toThrow(TypeError);
  });

  it("says which constraints don't fit", () => {
    const names = (count: number, value: string) =>
      Object.fromEntries(Array.from({ length: count }, (_, i) => [`n${i}`, value]));
    for (const contextEquals of [names(62, "x"), names(15, "x".repeat(500))]) {
      expect(reasonOf(() => mintMacaroon({ ...order, grant: { ...someGrant, contextEquals } }))).toBe("INVALID_FIELD");
    }
    expect(mintMacaroon({ ...order, grant: { ...someGrant, contextEquals: names(61, "x") } })).toBeDefined();
  });
});

describe("attenuateMacaroon", () => {
  it("gives the same bytes as making the whole anew", () => {
    const caveats = [...mandatory, "ctx.a = b", "cidr = 10.0.0.0/8"];
    expect(attenuateMacaroon(macaroonWith(mandatory), caveats.slice(3))).toBe(macaroonWith(caveats));
    expect(attenuateMacaroon(macaroonWith(mandatory), [])).toBe(macaroonWith(mandatory));
  });

  it("needs no knowledge of the caveats that are there", () => {
    const before = bytesOfText(macaroonWith(["whatever"]));
    const after = readMacaroonV2(attenuateMacaroonV2(before, [Buffer.from("more")]));
    expect(after?.caveats.map(({ id }) => Buffer.from(id).toString())).toEqual(["whatever", "more"]);
  });

  it("refuses what a verifier would", () => {
    const text = someMacaroon();
    const sixtyFour = attenuateMacaroon(
      text,
      Array.from({ length: 61 }, () => "ctx.a = b"),
    );
    expect(codeOf(sixtyFour, { context: { a: "b" } })).toBe("VALID");
    expect(() => attenuateMacaroon(sixtyFour, ["ctx.a = b"])).toThrow("64");
    expect(() => attenuateMacaroon(text, ["ctx.a = b", "exp<1"])).toThrow("caveat 1");
    expect(() => attenuateMacaroon(text, ["ctx.a = \ud800"])).toThrow(TypeError);
    expect(() => attenuateMacaroon(`${text}=`, [])).toThrow(TypeError);
    expect(() =>
      attenuateMacaroon(
        text,
        Array.from({ length: 8 }, () => `ctx.a = ${"x".repeat(1016)}`),
      ),
    ).toThrow(TypeError);
  });
});

describe("npm macaroon", () => {
  it("verifies ours, given the audience key", () => {
    const seen: string[] = [];
    const foreign = npmMacaroon.importMacaroon(bytesOfText(someMacaroon({ contextEquals: { a: "b" } })));
    const accept = (caveat: string) => {
      seen.push(caveat);
      return null;
    };
    foreign.verify(someAudienceKey, accept, []);
    expect(seen).toEqual([...mandatory, "ctx.a = b"]);
    expect(() => foreign.verify(new Uint8Array(32), () => null, [])).toThrow();
  });

  it("narrows ours, and we verify the result", () => {
    const foreign = npmMacaroon.importMacaroon(bytesOfText(someMacaroon()));
    for (const caveat of ["ctx.a = b", "scope = a:b", "nbf >= 1", "cidr = 192.0.2.0/24"])
      foreign.addFirstPartyCaveat(caveat);
    const read = readMacaroonJson(JSON.stringify(foreign.exportJSON())) as Macaroon;
    const text = formatMacaroonText("ichor_mc", writeMacaroonV2(read));
    expect(codeOf(text, { context: { a: "b" } })).toBe("VALID");
    expect(codeOf(text)).toBe("CONSTRAINT_NOT_MET");
    expect(text).toBe(
      attenuateMacaroon(someMacaroon(), ["ctx.a = b", "scope = a:b", "nbf >= 1", "cidr = 192.0.2.0/24"]),
    );
  });

  it("mints for us, given the audience key", () => {
    const identifier = encodeMacaroonIdentifier(someIdentifier);
    const foreign = npmMacaroon.newMacaroon({ identifier, location: someIssuer, rootKey: someAudienceKey, version: 2 });
    for (const caveat of mandatory) foreign.addFirstPartyCaveat(caveat);
    const read = readMacaroonJson(JSON.stringify(foreign.exportJSON())) as Macaroon;
    expect(formatMacaroonText("ichor_mc", writeMacaroonV2(read))).toBe(macaroonWith(mandatory));
  });
});

describe("hmacSha256", () => {
  it("gives by two hashes what the library gives, at every length", () => {
    const key = Buffer.from(Array.from({ length: 32 }, (_, i) => i * 8)).toString("latin1") as Parameters<
      typeof hmacWays.hmacByTwoHashes
    >[0];
    for (let length = 0; length < 1100; length++) {
      const message = Buffer.alloc(length, length);
      expect(hmacWays.hmacByTwoHashes(key, message)).toBe(hmacWays.hmacByLibrary(key, message));
    }
    for (const length of [8191, 8192, 8193, 20_000]) {
      const message = Buffer.alloc(length, length);
      expect(hmacWays.hmacByTwoHashes(key, message)).toBe(hmacWays.hmacByLibrary(key, message));
    }
  });
});
