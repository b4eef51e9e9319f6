import { describe, expect, it } from "vitest";
import { VerificationCode as VerificationCodePb } from "../../../gen/ichor/v1/verification_pb.ts";
import type { ApiKey } from "../../../services/core/api-key.ts";
import type { PresentedImportedKey, PresentedIssuedKey } from "../../../services/core/credential.ts";
import type { Demand } from "../../../services/core/demand.ts";
import { importedDigest, issuedDigest, type Peppers, sha256 } from "../../../services/core/digest.ts";
import {
  authenticateKey,
  type Clearance,
  clearKey,
  credentialEndMs,
  effectiveScopes,
} from "../../../services/core/verification.ts";
import { earlierCode, type VerificationCode, verificationCodes } from "../../../services/core/verification-code.ts";
import {
  hourMs,
  madeMs,
  otherKeyId,
  otherTenantId,
  peppersOf,
  reasonOf,
  someKey,
  someKeyId,
  somePepper,
  someTenantId,
  someVersion,
} from "./some-key.ts";

const nowMs = madeMs + hourMs;
const [pepper1, pepper2] = [somePepper(1), somePepper(2)];
const secret = new Uint8Array(32).fill(1);
const olderSecret = new Uint8Array(32).fill(2);
const presented: PresentedIssuedKey = { kind: "ISSUED_KEY", prefix: "ichor_sk", keyId: someKeyId, secret };
const newest = someVersion({
  number: 2,
  digest: issuedDigest(pepper2, someTenantId, someKeyId, secret),
  pepperId: "pepper-2",
});
const older = someVersion({
  digest: issuedDigest(pepper1, someTenantId, someKeyId, olderSecret),
  graceEndTimeMs: nowMs + hourMs,
});
const key = someKey({ secretVersions: [newest, older] });
const peppers = peppersOf(pepper2, pepper1);
const refused = { authentic: false, code: "NOT_FOUND" };

describe("authenticateKey", () => {
  it("knows each secret of the key, and says which it was", () => {
    expect(authenticateKey(presented, key, someTenantId, peppers)).toEqual({ authentic: true, key, version: newest });
    const again = authenticateKey({ ...presented, secret: olderSecret }, key, someTenantId, peppers);
    expect(again).toEqual({ authentic: true, key, version: older });
  });

  it("knows a secret past its grace too: whether it still counts is for clearing to say", () => {
    const ended = { ...older, graceEndTimeMs: madeMs };
    const late = someKey({ secretVersions: [newest, ended] });
    const answer = authenticateKey({ ...presented, secret: olderSecret }, late, someTenantId, peppers);
    expect(answer).toEqual({ authentic: true, key: late, version: ended });
  });

  it.each<[string, PresentedIssuedKey, ApiKey | undefined]>([
    ["an unknown id", presented, undefined],
    ["a wrong secret", { ...presented, secret: new Uint8Array(32) }, key],
    ["another prefix", { ...presented, prefix: "ichor_pk" }, key],
    ["a key of another tenant", presented, someKey({ ...key, tenantId: otherTenantId })],
    ["another key than was asked for", { ...presented, keyId: otherKeyId }, key],
    ["an imported key under that id", presented, someKey({ ...key, kind: "IMPORTED_KEY" })],
  ])("gives the same answer for %s", (_, credential, stored) => {
    expect(authenticateKey(credential, stored, someTenantId, peppers)).toEqual(refused);
  });

  it("makes a digest for an unknown id as well, so that time doesn't tell", () => {
    let asked = 0;
    const counting: Peppers = {
      ...peppers,
      current: () => {
        asked++;
        return pepper2;
      },
    };
    authenticateKey(presented, undefined, someTenantId, counting);
    authenticateKey(presented, someKey({ ...key, tenantId: otherTenantId }), someTenantId, counting);
    expect(asked).toBe(2);
  });

  it("doesn't know, and says so, if the pepper to tell is missing", () => {
    const without1 = peppersOf(pepper2);
    const wrong = { ...presented, secret: new Uint8Array(32) };
    expect(reasonOf(() => authenticateKey(wrong, key, someTenantId, without1))).toBe("SECRET_NOT_LOADED");
    expect(reasonOf(() => authenticateKey(presented, key, someTenantId, peppersOf(pepper1)))).toBe("SECRET_NOT_LOADED");
    expect(reasonOf(() => authenticateKey(presented, undefined, someTenantId, peppersOf()))).toBe("SECRET_NOT_LOADED");
  });

  it("accepts a right secret although the pepper of another version is missing", () => {
    const without2 = peppersOf(pepper1);
    const answer = authenticateKey({ ...presented, secret: olderSecret }, key, someTenantId, without2);
    expect(answer.authentic).toBe(true);
  });

  describe("for imported keys", () => {
    const rawSha256 = sha256("sk_live_4eC39HqLyjWDarjtT1zdp7dc");
    const imported: PresentedImportedKey = { kind: "IMPORTED_KEY", rawSha256 };
    const version = someVersion({ digest: importedDigest(pepper1, someTenantId, rawSha256) });
    const stored = someKey({ kind: "IMPORTED_KEY", prefix: "", secretVersions: [version] });

    it("knows the raw key", () => {
      expect(authenticateKey(imported, stored, someTenantId, peppers)).toEqual({
        authentic: true,
        key: stored,
        version,
      });
    });

    it("refuses another raw key, another tenant, and an issued key's record", () => {
      const other: PresentedImportedKey = { ...imported, rawSha256: sha256("x") };
      expect(authenticateKey(other, stored, someTenantId, peppers)).toEqual(refused);
      expect(authenticateKey(imported, stored, otherTenantId, peppers)).toEqual(refused);
      expect(authenticateKey(imported, someKey({ ...stored, kind: "ISSUED_KEY" }), someTenantId, peppers)).toEqual(
        refused,
      );
    });
  });
});

describe("clearKey", () => {
  const demand: Demand = {
    requiredScopes: ["a:read"],
    audience: "api",
    clientIp: "192.0.2.1",
    context: { env: "prod" },
  };
  const base: Clearance = { key: someKey(), version: someVersion(), tenant: { state: "ACTIVE" }, demand, nowMs };

  /** What breaks each rule, in the order of the codes; several may break the same one. */
  const breaches: readonly [VerificationCode, string, Partial<Clearance>, Partial<ApiKey>][] = [
    ["REVOKED", "the key is revoked", {}, { state: "REVOKED" }],
    ["REVOKED", "the secret is past its grace", { version: someVersion({ graceEndTimeMs: nowMs }) }, {}],
    ["DISABLED", "the key is suspended", {}, { state: "DISABLED" }],
    ["DISABLED", "its tenant is suspended", { tenant: { state: "DISABLED" } }, {}],
    ["EXPIRED", "the key has ended", {}, { expireTimeMs: nowMs }],
    ["EXPIRED", "its constraints have ended", {}, { constraints: { expireTimeMs: nowMs } }],
    ["NOT_YET_VALID", "its constraints haven't begun", {}, { constraints: { notBeforeMs: nowMs + 1 } }],
    ["AUDIENCE_MISMATCH", "it is meant for others", {}, { constraints: { audiences: ["other"] } }],
    ["IP_NOT_ALLOWED", "the key's networks are elsewhere", {}, { allowedCidrs: ["10.0.0.0/8"] }],
    ["IP_NOT_ALLOWED", "its constraints' networks are elsewhere", {}, { constraints: { cidrs: ["10.0.0.0/8"] } }],
    ["CONSTRAINT_NOT_MET", "the context differs", {}, { constraints: { contextEquals: { env: "test" } } }],
    ["INSUFFICIENT_SCOPE", "the key lacks a scope", {}, { scopes: ["a:write"] }],
    ["INSUFFICIENT_SCOPE", "its constraints lack a scope", {}, { constraints: { scopes: ["a:write"] } }],
  ];

  it("clears what breaks no rule", () => {
    expect(clearKey(base)).toBe("VALID");
  });

  it.each(breaches)("says %s if %s", (code, _, clearance, changes) => {
    expect(clearKey({ ...base, ...clearance, key: someKey(changes) })).toBe(code);
  });

  it("says the earlier code of any two that apply", () => {
    for (const [code, , clearance, changes] of breaches) {
      for (const [otherCode, , otherClearance, otherChanges] of breaches) {
        if (changes.state && otherChanges.state) continue;
        const constraints = { ...changes.constraints, ...otherChanges.constraints };
        const both = {
          ...base,
          ...clearance,
          ...otherClearance,
          key: someKey({ ...changes, ...otherChanges, constraints }),
        };
        expect(clearKey(both), `${code} and ${otherCode}`).toBe(earlierCode(code, otherCode));
      }
    }
  });

  it("needs an address both in the key's networks and in its constraints'", () => {
    const networks = someKey({ allowedCidrs: ["192.0.2.0/24"], constraints: { cidrs: ["192.0.2.0/28"] } });
    expect(clearKey({ ...base, key: networks })).toBe("VALID");
    expect(clearKey({ ...base, key: networks, demand: { ...demand, clientIp: "192.0.2.99" } })).toBe("IP_NOT_ALLOWED");
    expect(clearKey({ ...base, key: networks, demand: { ...demand, clientIp: undefined } })).toBe("IP_NOT_ALLOWED");
  });

  it("refuses a key for certain audiences if none is told", () => {
    const meant = someKey({ constraints: { audiences: ["api"] } });
    expect(clearKey({ ...base, key: meant, demand: { ...demand, audience: undefined } })).toBe("AUDIENCE_MISMATCH");
  });

  it("never lets a star reach a reserved scope", () => {
    const reserved = { ...demand, requiredScopes: ["ichor:keys:read"] };
    expect(clearKey({ ...base, demand: reserved })).toBe("INSUFFICIENT_SCOPE");
    expect(clearKey({ ...base, key: someKey({ scopes: ["ichor:*"] }), demand: reserved })).toBe("VALID");
  });
});

describe("what a verifier learns", () => {
  it("is the scopes that the constraints leave", () => {
    expect(effectiveScopes(someKey({ scopes: ["a:*", "b"], constraints: { scopes: ["a:x"] } }))).toEqual(["a:x"]);
    expect(effectiveScopes(someKey({ scopes: ["a:*", "b"] }))).toEqual(["a:*", "b"]);
  });

  it("is the earliest end of key, constraints and secret", () => {
    const ends = { expireTimeMs: nowMs + 3, constraints: { expireTimeMs: nowMs + 2 } };
    expect(credentialEndMs(someKey(), someVersion())).toBeUndefined();
    expect(credentialEndMs(someKey(ends), someVersion())).toBe(nowMs + 2);
    expect(credentialEndMs(someKey(ends), someVersion({ graceEndTimeMs: nowMs + 1 }))).toBe(nowMs + 1);
    expect(credentialEndMs(someKey({ expireTimeMs: nowMs + 3 }), someVersion())).toBe(nowMs + 3);
  });
});

describe("verificationCodes", () => {
  it("are those of ichor.v1.VerificationCode, in its order", () => {
    const byNumber = Object.entries(VerificationCodePb).sort(([, a], [, b]) => a - b);
    const names = byNumber.map(([name]) => name).filter((name) => name !== "UNSPECIFIED");
    expect(verificationCodes).toEqual(names);
  });

  it("have an earlier one of two, or the only one", () => {
    expect(earlierCode("EXPIRED", "REVOKED")).toBe("REVOKED");
    expect(earlierCode("EXPIRED", undefined)).toBe("EXPIRED");
    expect(earlierCode(undefined, "EXPIRED")).toBe("EXPIRED");
    expect(earlierCode(undefined, undefined)).toBeUndefined();
  });
});
