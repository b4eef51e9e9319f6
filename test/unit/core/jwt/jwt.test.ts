import { createHmac, generateKeyPairSync, type KeyObject, sign } from "node:crypto";
import { createLocalJWKSet, exportJWK, jwtVerify } from "jose";
import { describe, expect, it } from "vitest";
import type { Demand } from "../../../../services/core/demand.ts";
import { type TokenGrant, tokenFailure } from "../../../../services/core/derived-token.ts";
import type { JwtAlgorithm } from "../../../../services/core/jwt/algorithms.ts";
import { authenticateJwt } from "../../../../services/core/jwt/authenticate.ts";
import { buildClaims, type ClaimsOrder } from "../../../../services/core/jwt/claims.ts";
import { makeHeader } from "../../../../services/core/jwt/header.ts";
import { readJwt } from "../../../../services/core/jwt/read-jwt.ts";
import { type JwtSigner, signJwt, signWays } from "../../../../services/core/jwt/sign.ts";
import { importVerificationKey, type PublicJwk } from "../../../../services/core/jwt/verification-key.ts";
import { someAudience, someDemand, someGrant, someIssuer, someTokenId } from "../macaroon/some-macaroon.ts";
import { madeMs, reasonOf, someKeyId, someTenantId } from "../some-key.ts";

const pairs: Readonly<Record<JwtAlgorithm, { publicKey: KeyObject; privateKey: KeyObject }>> = {
  EdDSA: generateKeyPairSync("ed25519"),
  ES256: generateKeyPairSync("ec", { namedCurve: "P-256" }),
  RS256: generateKeyPairSync("rsa", { modulusLength: 2048 }),
};
const algorithms = Object.keys(pairs) as JwtAlgorithm[];
const jwkOf = (alg: JwtAlgorithm, key = pairs[alg].publicKey) =>
  ({ ...key.export({ format: "jwk" }), alg }) as PublicJwk;
const keyOf = (alg: JwtAlgorithm) => importVerificationKey(jwkOf(alg));
const signerOf = (algorithm: JwtAlgorithm): JwtSigner => ({
  kid: keyOf(algorithm).kid,
  algorithm,
  privateKey: pairs[algorithm].privateKey,
});

const order: ClaimsOrder = {
  issuer: someIssuer,
  tenantId: someTenantId,
  keyId: someKeyId,
  tokenId: someTokenId,
  ownerId: "acme",
  tokenEpoch: 3,
  issueTimeMs: madeMs,
  grant: someGrant,
};
const constrained: TokenGrant = {
  ...someGrant,
  audiences: [someAudience, "other"],
  cidrs: ["192.0.2.0/24"],
  contextEquals: { a: "b" },
  contextPrefixes: { c: "d" },
};

const base64 = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");

/** Any header and claims with a right signature, as who has the private key could make them. */
function forge(header: object, claims: object, key: KeyObject = pairs.EdDSA.privateKey): string {
  const signed = `${base64(header)}.${base64(claims)}`;
  return `${signed}.${sign(null, Buffer.from(signed), key).toString("base64url")}`;
}

async function codeOf(text: string, demand: Partial<Demand> = {}, nowMs = madeMs, leeway = 0): Promise<string> {
  const jwt = readJwt(text);
  if (!jwt) return "MALFORMED";
  const key = algorithms.map(keyOf).find(({ kid }) => kid === jwt.unverifiedHeader.kid);
  const authentication = await authenticateJwt(jwt, key, someIssuer);
  if (!authentication.authentic) return authentication.code;
  return tokenFailure(authentication.token, someDemand(demand), nowMs, leeway) ?? "VALID";
}

const { kid } = keyOf("EdDSA");
const header = makeHeader("EdDSA", kid, false);
const claims = buildClaims(order);

describe("buildClaims", () => {
  it("has the claims of RFC 9068 and ours", () => {
    expect(claims).toEqual({
      iss: someIssuer,
      sub: "acme",
      aud: someAudience,
      exp: madeMs / 1000 + 900,
      iat: madeMs / 1000,
      nbf: madeMs / 1000,
      jti: someTokenId,
      client_id: someKeyId,
      scope: "a:*",
      tenant: someTenantId,
      epoch: 3,
    });
  });

  it("puts into cst only what no other claim says", () => {
    expect(buildClaims({ ...order, grant: { ...constrained, notBeforeMs: madeMs + 1 } })).toEqual({
      ...claims,
      nbf: madeMs / 1000 + 1,
      aud: [someAudience, "other"],
      cst: { cidrs: ["192.0.2.0/24"], context_equals: { a: "b" }, context_prefixes: { c: "d" } },
    });
  });

  it("refuses what a caller should have", () => {
    const wrong: Partial<ClaimsOrder>[] = [
      { grant: { ...someGrant, audiences: [] } },
      { grant: { ...someGrant, expireTimeMs: madeMs + 86_401_000 } },
      { customClaims: { sub: "root" } },
    ];
    for (const change of wrong) expect(() => buildClaims({ ...order, ...change })).toThrow(TypeError);
  });

  it("says if the token would be over 8 KiB, and never makes one", async () => {
    const scopes = (count: number) => Array.from({ length: count }, (_, i) => `s:${"x".repeat(40)}${i}`);
    expect(reasonOf(() => buildClaims({ ...order, grant: { ...someGrant, scopes: scopes(200) } }))).toBe(
      "INVALID_FIELD",
    );
    const largest = buildClaims({ ...order, grant: { ...constrained, scopes: scopes(103) } });
    expect(
      await codeOf(await signJwt(largest, signerOf("RS256")), { requiredScopes: [], context: { a: "b", c: "d" } }),
    ).toBe("VALID");
  });
});

describe("signJwt", () => {
  it("makes of EdDSA, which it signs itself, what jose makes of it byte for byte", async () => {
    for (const grant of [someGrant, constrained]) {
      const payload = Buffer.from(JSON.stringify(buildClaims({ ...order, grant })));
      const signer = signerOf("EdDSA");
      const header = makeHeader("EdDSA", signer.kid, grant === constrained);
      expect(signWays.signHere(header, payload, signer)).toBe(await signWays.signByJose(header, payload, signer));
    }
  });
});

describe("a derived JWT", () => {
  it.each(algorithms)("comes back as it was, by %s", async (algorithm) => {
    for (const grant of [someGrant, constrained]) {
      const text = await signJwt(buildClaims({ ...order, grant, customClaims: { plan: "pro" } }), signerOf(algorithm));
      const jwt = readJwt(text);
      if (!jwt) throw new Error("unreadable");
      const { issuer: _issuer, ...facts } = order;
      expect(await authenticateJwt(jwt, keyOf(algorithm), someIssuer)).toEqual({
        authentic: true,
        token: { ...facts, kind: "JWT", grant: { ...grant, notBeforeMs: madeMs } },
      });
    }
  });

  it.each(algorithms)(
    "is verified by plain jose, constrained ones only by who knows the extension: %s",
    async (algorithm) => {
      const keys = createLocalJWKSet({
        keys: [{ ...(await exportJWK(pairs[algorithm].publicKey)), alg: algorithm, kid: keyOf(algorithm).kid }],
      });
      const options = { issuer: someIssuer, audience: someAudience, typ: "at+jwt", currentDate: new Date(madeMs) };
      const plain = await signJwt(claims, signerOf(algorithm));
      expect((await jwtVerify(plain, keys, options)).payload.sub).toBe("acme");
      const critical = await signJwt(buildClaims({ ...order, grant: constrained }), signerOf(algorithm));
      await expect(jwtVerify(critical, keys, options)).rejects.toThrow("ichor-cst");
    },
  );

  it.each([
    ["in time", {}, madeMs + 899_999, 0, "VALID"],
    ["at its end", {}, madeMs + 900_000, 0, "EXPIRED"],
    ["within the leeway", {}, madeMs + 929_999, 30, "VALID"],
    ["another audience", { audience: "other" }, madeMs, 0, "AUDIENCE_MISMATCH"],
    ["a scope that it lacks", { requiredScopes: ["b"] }, madeMs, 0, "INSUFFICIENT_SCOPE"],
  ])("is then cleared: %s", async (_what, demand, nowMs, leeway, code) => {
    expect(await codeOf(forge(header, claims), demand, nowMs, leeway)).toBe(code);
  });

  it.each([
    ["a future iat", { iat: madeMs / 1000 + 5 }, 0, "NOT_YET_VALID"],
    ["a future nbf", { nbf: madeMs / 1000 + 5 }, 0, "NOT_YET_VALID"],
    ["a future iat, within the leeway", { iat: madeMs / 1000 + 5 }, 5, "VALID"],
    ["another issuer", { iss: "https://other.example" }, 0, "SIGNATURE_INVALID"],
    ["an issuer with a slash more", { iss: `${someIssuer}/` }, 0, "SIGNATURE_INVALID"],
    ["no issuer", { iss: undefined }, 0, "SIGNATURE_INVALID"],
    ["over 24 h", { exp: madeMs / 1000 + 86_401 }, 0, "MALFORMED"],
    ["no exp", { exp: undefined }, 0, "MALFORMED"],
    ["exp as text", { exp: "1800000900" }, 0, "MALFORMED"],
    ["a fraction of a second", { exp: madeMs / 1000 + 0.5 }, 0, "MALFORMED"],
    ["no aud", { aud: undefined }, 0, "MALFORMED"],
    ["an empty list of audiences", { aud: [] }, 0, "MALFORMED"],
    ["no scope", { scope: undefined }, 0, "MALFORMED"],
    ["two spaces in scope", { scope: "a:*  b" }, 0, "MALFORMED"],
    ["a key id that is none", { client_id: "key_1" }, 0, "MALFORMED"],
    ["no token id", { jti: undefined }, 0, "MALFORMED"],
    ["a negative epoch", { epoch: -1 }, 0, "MALFORMED"],
    ["cst without crit", { cst: { cidrs: ["10.0.0.0/8"] } }, 0, "MALFORMED"],
  ])("with %s is decided by its claims", async (_what, change, leeway, code) => {
    expect(await codeOf(forge(header, { ...claims, ...change }), {}, madeMs, leeway)).toBe(code);
  });

  const critical = makeHeader("EdDSA", kid, true);
  it.each([
    ["no cst", undefined],
    ["an empty cst", {}],
    ["an unknown member", { cidrs: ["10.0.0.0/8"], time: 1 }],
    ["a network that is none", { cidrs: ["10.0.0.0"] }],
    ["a context name that is none", { context_equals: { A: "b" } }],
    ["a context value that is none", { context_equals: { a: 1 } }],
    ["a list for a map", { context_prefixes: ["a"] }],
    ["a text for a list", { cidrs: "10.0.0.0/8" }],
  ])("with crit and %s is MALFORMED", async (_what, cst) => {
    expect(await codeOf(forge(critical, { ...claims, cst }))).toBe("MALFORMED");
  });

  it("is bound by an empty list of networks", async () => {
    expect(await codeOf(forge(critical, { ...claims, cst: { cidrs: [] } }))).toBe("IP_NOT_ALLOWED");
  });

  it.each([
    ["alg none", { ...header, alg: "none" }],
    ["alg None", { ...header, alg: "None" }],
    ["no alg", { ...header, alg: undefined }],
    ["HS256 with a public key in mind", { ...header, alg: "HS256" }],
    ["PS256", { ...header, alg: "PS256" }],
    ["Ed25519", { ...header, alg: "Ed25519" }],
    ["ES256 for an EdDSA key", { ...header, alg: "ES256" }],
    ["RS256 for an EdDSA key", { ...header, alg: "RS256" }],
    ["typ JWT", { ...header, typ: "JWT" }],
    ["typ AT+JWT", { ...header, typ: "AT+JWT" }],
    ["no typ", { ...header, typ: undefined }],
    ["no kid", { ...header, kid: undefined }],
    ["a kid that is no text", { ...header, kid: 1 }],
    ["an own key", { ...header, jwk: jwkOf("EdDSA") }],
    ["a key set elsewhere", { ...header, jku: "https://other.example/jwks.json" }],
    ["an unknown critical extension", { ...header, crit: ["exp"], exp: 1 }],
    ["b64 false", { ...header, crit: ["b64"], b64: false }],
    ["crit without the parameter", { ...header, crit: ["ichor-cst"] }],
    ["the parameter without crit", { ...header, "ichor-cst": 1 }],
    ["another version of constraints", { ...header, crit: ["ichor-cst"], "ichor-cst": 2 }],
    ["an empty crit", { ...header, crit: [] }],
    ["crit twice", { ...header, crit: ["ichor-cst", "ichor-cst"], "ichor-cst": 1 }],
    ["a header over 1 KiB", { ...header, kid: "k".repeat(1024) }],
    ["a header that is a list", [header]],
  ])("with %s is MALFORMED", async (_what, forgedHeader) => {
    expect(await codeOf(forge(forgedHeader, claims))).toBe("MALFORMED");
  });

  it("is SIGNATURE_INVALID under an unknown kid, another's key, or changed claims", async () => {
    const text = forge(header, claims);
    const [head, , signature] = text.split(".");
    expect(await codeOf(forge({ ...header, kid: "unknown" }, claims))).toBe("SIGNATURE_INVALID");
    expect(await codeOf(forge(header, claims, generateKeyPairSync("ed25519").privateKey))).toBe("SIGNATURE_INVALID");
    expect(await codeOf(`${head}.${base64({ ...claims, scope: "*" })}.${signature}`)).toBe("SIGNATURE_INVALID");
    expect(await codeOf(`${head}.${base64(claims)}.`)).toBe("SIGNATURE_INVALID");
    const hmac = createHmac("sha256", "secret")
      .update(`${head}.${base64(claims)}`)
      .digest("base64url");
    expect(await codeOf(`${head}.${base64(claims)}.${hmac}`)).toBe("SIGNATURE_INVALID");
  });

  it.each([
    ["padding", (t: string) => `${t}=`],
    ["padding in the header", (t: string) => t.replace(".", "=.")],
    ["junk that decoders skip", (t: string) => t.replace(".", ".!")],
    ["a line end", (t: string) => `${t}\n`],
    ["four parts", (t: string) => `${t}.`],
    ["two parts", (t: string) => t.slice(0, t.lastIndexOf("."))],
    ["over 8 KiB", (t: string) => `${t}${"A".repeat(8192)}`],
    ["nothing", () => ""],
  ])("with %s is MALFORMED", async (_what, change) => {
    expect(await codeOf(change(forge(header, claims)))).toBe("MALFORMED");
  });

  it("has one text for the same signature, whatever its last character's spare bits", async () => {
    const text = forge(header, claims);
    const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    const codes = await Promise.all([...alphabet].map((last) => codeOf(text.slice(0, -1) + last)));
    expect(codes.filter((code) => code === "VALID")).toHaveLength(1);
    expect(codes.filter((code) => code === "MALFORMED")).toHaveLength(60);
  });

  it("with a header that is no JSON or no UTF-8 is MALFORMED", async () => {
    for (const bytes of [Buffer.from("{"), Buffer.from('{"alg":"\xff"}', "latin1"), Buffer.alloc(0)]) {
      expect(await codeOf(`${bytes.toString("base64url")}.${base64(claims)}.AAAA`)).toBe("MALFORMED");
    }
  });
});
