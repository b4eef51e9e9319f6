import { generateKeyPairSync } from "node:crypto";
import { describe, expect, it } from "vitest";
import { importVerificationKey, type PublicJwk } from "../../../../services/core/jwt/verification-key.ts";

const ed25519 = { ...generateKeyPairSync("ed25519").publicKey.export({ format: "jwk" }), alg: "EdDSA" } as PublicJwk;
const rsa = (modulusLength: number) =>
  ({ ...generateKeyPairSync("rsa", { modulusLength }).publicKey.export({ format: "jwk" }), alg: "RS256" }) as PublicJwk;
const p384 = {
  ...generateKeyPairSync("ec", { namedCurve: "P-384" }).publicKey.export({ format: "jwk" }),
  alg: "ES256",
};

describe("importVerificationKey", () => {
  it("takes a public key under its thumbprint", () => {
    const { kid } = importVerificationKey(ed25519);
    expect(importVerificationKey({ ...ed25519, kid })).toMatchObject({ kid, algorithm: "EdDSA" });
  });

  it("never keeps a private part", () => {
    const { privateKey } = generateKeyPairSync("ed25519");
    const jwk = { ...privateKey.export({ format: "jwk" }), alg: "EdDSA" } as PublicJwk;
    expect(importVerificationKey(jwk).key.type).toBe("public");
  });

  it.each<readonly [string, PublicJwk]>([
    ["no algorithm", { ...ed25519, alg: undefined } as unknown as PublicJwk],
    ["an algorithm that isn't ours", { ...ed25519, alg: "Ed25519" }],
    ["another kind of key", { ...ed25519, alg: "ES256" }],
    ["another curve", p384 as PublicJwk],
    ["an RSA key under 2048 bits", rsa(1024)],
    ["another key's id", { ...ed25519, kid: "A".repeat(43) }],
    ["a symmetric key", { kty: "oct", alg: "EdDSA" }],
  ])("refuses %s", (_what, jwk) => {
    expect(() => importVerificationKey(jwk)).toThrow(TypeError);
  });
});
