import { createPrivateKey } from "node:crypto";
import { readFileSync } from "node:fs";
import { jwtVerify } from "jose";
import { describe, expect, it } from "vitest";
import type { DerivedToken, TokenGrant } from "../../services/core/derived-token.ts";
import type { KeyId, TenantId, TokenId } from "../../services/core/ids.ts";
import { authenticateJwt } from "../../services/core/jwt/authenticate.ts";
import { buildClaims } from "../../services/core/jwt/claims.ts";
import { readJwt } from "../../services/core/jwt/read-jwt.ts";
import { signJwt } from "../../services/core/jwt/sign.ts";
import { importVerificationKey, jwkThumbprint, type PublicJwk } from "../../services/core/jwt/verification-key.ts";
import { attenuateMacaroon } from "../../services/core/macaroon/attenuate.ts";
import { audienceKey } from "../../services/core/macaroon/audience-key.ts";
import { authenticateMacaroon } from "../../services/core/macaroon/authenticate.ts";
import { chainRootOf } from "../../services/core/macaroon/chain.ts";
import type { MacaroonIdentifier } from "../../services/core/macaroon/identifier.ts";
import { mintMacaroon } from "../../services/core/macaroon/mint.ts";
import { type MacaroonText, readMacaroonText } from "../../services/core/macaroon/text.ts";
import { decodeMacaroonIdentifier, encodeMacaroonIdentifier } from "../../services/wire/macaroon-identifier.ts";

const vectors = (name: string) => JSON.parse(readFileSync(new URL(`${name}.json`, import.meta.url), "utf8"));
const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");

describe("audience key", () => {
  interface AudienceKeyCase {
    readonly master: string;
    readonly tenantId: TenantId;
    readonly audience: string;
    readonly generation: number;
    readonly audienceKey: string;
  }
  it.each(vectors("audience-key").cases as AudienceKeyCase[])("is derived for $audience, $generation", (given) => {
    const key = audienceKey(Buffer.from(given.master, "hex"), given.tenantId, given.audience, given.generation);
    expect(hex(key)).toBe(given.audienceKey);
  });
});

describe("derived macaroon", () => {
  const given = vectors("derived-macaroon");
  const identifier = given.identifier as MacaroonIdentifier;
  const key = audienceKey(
    Buffer.from(given.master, "hex"),
    identifier.tenantId,
    identifier.audience,
    identifier.generation,
  );
  const root = chainRootOf(key);

  it("has this audience key and identifier", () => {
    expect(hex(key)).toBe(given.audienceKey);
    expect(hex(encodeMacaroonIdentifier(identifier))).toBe(given.identifierBytes);
    expect(decodeMacaroonIdentifier(Buffer.from(given.identifierBytes, "hex"))).toEqual(identifier);
  });

  it("is minted as this text", () => {
    const text = mintMacaroon({
      prefix: "ichor_mc",
      issuer: given.issuer,
      identifier: encodeMacaroonIdentifier(identifier),
      issueTimeSeconds: identifier.issueTimeSeconds,
      grant: { expireTimeMs: 1_800_000_900_000, scopes: ["invoices:read"], audiences: [identifier.audience] },
      root,
    });
    expect(text).toBe(given.text);
  });

  it("is narrowed to this text, and means this", () => {
    expect(attenuateMacaroon(given.text, given.more)).toBe(given.attenuated);
    const { macaroon } = readMacaroonText(given.attenuated) as MacaroonText;
    const authentication = authenticateMacaroon(macaroon, identifier, root, given.issuer);
    expect(authentication.authentic && authentication.token.grant).toEqual({
      expireTimeMs: 1_800_000_900_000,
      notBeforeMs: 1_800_000_060_000,
      scopes: [],
      audiences: ["https://api.example"],
      cidrs: ["192.0.2.0/24", "2001:db8::/32"],
      contextEquals: { region: "eu" },
      contextPrefixes: { path: "/invoices/" },
    });
  });
});

describe("RFC 7638 and RFC 8037", () => {
  const { cases } = vectors("rfc7638") as { cases: readonly { jwk: PublicJwk; sha256: string }[] };

  it.each(cases)("give the thumbprint $sha256", ({ jwk, sha256 }) => {
    const alg = jwk.kty === "OKP" ? "EdDSA" : "RS256";
    expect(jwkThumbprint({ ...jwk, alg })).toBe(sha256);
    const { kid: _name, ...anonymous } = jwk;
    expect(importVerificationKey({ ...anonymous, alg }).kid).toBe(sha256);
  });
});

describe("RFC 7515", () => {
  const { cases } = vectors("rfc7515") as { cases: readonly { name: string; compact: string }[] };

  it.each(cases)("has other JWTs, and none is taken for a derived one: $name", ({ compact }) => {
    expect(readJwt(compact)).toBeUndefined();
  });
});

describe("derived JWT", () => {
  const given = vectors("derived-jwt");
  const { private_jwk, public_jwk } = vectors("rfc8037");
  const key = importVerificationKey({ ...public_jwk, alg: "EdDSA" });
  const signer = {
    kid: key.kid,
    algorithm: "EdDSA" as const,
    privateKey: createPrivateKey({ key: private_jwk, format: "jwk" }),
  };
  const plain = given.grant as TokenGrant;
  const constrained = { ...plain, ...given.constraints } as TokenGrant;
  const { tenantId, keyId, tokenId, ownerId, tokenEpoch, issueTimeMs } = given.facts as {
    tenantId: TenantId;
    keyId: KeyId;
    tokenId: TokenId;
  } & DerivedToken;
  const order = (grant: TokenGrant) => ({
    ...{ issuer: given.issuer, tenantId, keyId, tokenId, ownerId, tokenEpoch, issueTimeMs, grant },
    customClaims: given.customClaims,
  });

  it("is signed as this text", async () => {
    expect(await signJwt(buildClaims(order(plain)), signer)).toBe(given.text);
    expect(await signJwt(buildClaims(order(constrained)), signer)).toBe(given.constrainedText);
  });

  it("means this", async () => {
    for (const [text, grant] of [
      [given.text, plain],
      [given.constrainedText, constrained],
    ] as const) {
      const jwt = readJwt(text);
      const authentication = jwt && (await authenticateJwt(jwt, key, given.issuer));
      expect(authentication?.authentic && authentication.token).toEqual({
        ...given.facts,
        kind: "JWT",
        grant: { ...grant, notBeforeMs: issueTimeMs },
      });
    }
  });

  it("has these parts", async () => {
    const currentDate = new Date(issueTimeMs);
    const { payload, protectedHeader } = await jwtVerify(given.text, key.key, { typ: "at+jwt", currentDate });
    expect({ payload, protectedHeader }).toEqual({ payload: given.claims, protectedHeader: given.header });
  });
});
