import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { TokenFormat } from "../../../gen/ichor/v1/api_key_pb.ts";
import { VerificationCode as Code } from "../../../gen/ichor/v1/verification_pb.ts";
import { nameOf } from "../../../services/wire/enums.ts";
import { documented, reasonOfRejection } from "../../support/documented.ts";
import { startTestSidecar, type TestSidecar } from "../../support/sidecar.ts";
import { startTestApp, type TestApp } from "../../support/test-app.ts";
import { derive, issueKey, testAudience } from "../../support/tokens.ts";

let t: TestApp;
let s: TestSidecar;
beforeAll(async () => {
  t = await startTestApp();
});
afterAll(() => t.close());
beforeEach(async () => {
  s = await startTestSidecar(t);
});
afterEach(() => s.close());

type Ended = { readonly keyId: string; readonly credential: string };
const raw = (name: string) => `${name}-0123456789abcdefghijklmnop`;

/** Resolves once the side-car has heard of a revision. */
async function heard(revision: bigint): Promise<void> {
  await expect.poll(() => s.sidecar.verifier.status().revision, { interval: 1 }).toBeGreaterThanOrEqual(revision);
}

async function codeOf(credential: string, more: object = {}): Promise<string | undefined> {
  return nameOf(Code, (await s.keys.verifyCredential({ credential, ...more })).code);
}

describe("a side-car, given an API key", () => {
  it("asks the server once, and tells the same as the server", async () => {
    const { credential, keyId } = await issueKey(t, { ownerId: "acme", scopes: ["a:*"] });
    const request = { credential, requiredScopes: ["a:b"] };
    const first = await s.keys.verifyCredential(request);
    const again = await s.keys.verifyCredential(request);
    const told = await t.admin().verifyCredential(request);
    expect(first).toMatchObject({ valid: true, key: { id: keyId, ownerId: "acme" } });
    expect([first.key, again.key, again.code, again.kind]).toEqual([told.key, told.key, told.code, told.kind]);
    expect(s.asked()).toBe(1);
  });

  it("asks once for all who ask the same at a time", async () => {
    const { credential } = await issueKey(t);
    await Promise.all(Array.from({ length: 20 }, () => s.keys.verifyCredential({ credential })));
    expect(s.asked()).toBe(1);
  });

  it("keeps an answer for what was asked, and for nothing else", async () => {
    const { credential } = await issueKey(t, { scopes: ["a"], allowedCidrs: ["10.0.0.0/8"] });
    const allowed = { clientIp: "10.1.2.3", requiredScopes: ["a"] };
    expect(await codeOf(credential, allowed)).toBe("VALID");
    expect(await codeOf(credential, { ...allowed, clientIp: "192.0.2.1" })).toBe("IP_NOT_ALLOWED");
    expect(await codeOf(credential, { ...allowed, clientIp: "" })).toBe("IP_NOT_ALLOWED");
    expect(await codeOf(credential, { ...allowed, requiredScopes: ["b"] })).toBe("INSUFFICIENT_SCOPE");
    expect(await codeOf(credential, allowed)).toBe("VALID");
    expect(s.asked()).toBe(4);
  });

  it.each([
    ["revoked", "REVOKED", ({ keyId }: Ended) => t.admin().revokeApiKey({ keyId })],
    ["disabled", "DISABLED", ({ keyId }: Ended) => t.admin().disableApiKey({ keyId })],
    [
      "narrowed",
      "INSUFFICIENT_SCOPE",
      ({ keyId }: Ended) => t.admin().updateApiKey({ keyId, apiKey: { scopes: ["b"] } }),
    ],
    [
      "rotated without grace",
      "REVOKED",
      ({ keyId }: Ended) => t.admin().rotateApiKey({ keyId, gracePeriod: { seconds: 0n, nanos: 0 } }),
    ],
  ])("knows at once that its key was %s, and that another's was not", async (_, code, end) => {
    const one = await issueKey(t, { scopes: ["a"] });
    const other = await issueKey(t, { scopes: ["a"] });
    const demand = { requiredScopes: ["a"] };
    expect(await codeOf(one.credential, demand)).toBe("VALID");
    expect(await codeOf(other.credential, demand)).toBe("VALID");
    const { revision } = await end(one);
    await heard(revision);
    expect(await codeOf(one.credential, demand)).toBe(code);
    const asked = s.asked();
    expect(await codeOf(other.credential, demand)).toBe("VALID");
    expect(s.asked()).toBe(asked);
  });

  it("knows that it was enabled again", async () => {
    const { keyId, credential } = await issueKey(t);
    await t.admin().disableApiKey({ keyId });
    expect(await codeOf(credential)).toBe("DISABLED");
    await heard((await t.admin().enableApiKey({ keyId })).revision);
    expect(await codeOf(credential)).toBe("VALID");
  });

  it("asks again when a grace period has ended, and refuses while nobody can tell", async () => {
    const { keyId, credential } = await issueKey(t);
    await heard((await t.admin().rotateApiKey({ keyId, gracePeriod: { seconds: 10n, nanos: 0 } })).revision);
    expect(await codeOf(credential)).toBe("VALID");
    s.disconnect();
    s.clock.advance(9_999);
    expect(await codeOf(credential)).toBe("VALID");
    s.clock.advance(1);
    expect(await reasonOfRejection(s.keys.verifyCredential({ credential }))).toBe("UPSTREAM_UNAVAILABLE");
  });

  it("knows no credential until it is imported", async () => {
    const credential = raw("imported");
    expect(await codeOf(credential)).toBe("NOT_FOUND");
    expect(await codeOf(credential, { requiredScopes: ["a"] })).toBe("NOT_FOUND");
    expect(s.asked()).toBe(1);
    const { revision } = await t.admin().importApiKey({ name: "i", secret: { case: "raw", value: credential } });
    await heard(revision);
    expect(await codeOf(credential)).toBe("VALID");
  });

  it("lets the server decide each use of a key with rate limits", async () => {
    const rateLimits = [{ name: "r", limit: 2n, period: { seconds: 60n, nanos: 0 } }];
    const { credential } = await issueKey(t, { rateLimits });
    const codes = await Promise.all(Array.from({ length: 4 }, () => codeOf(credential)));
    expect(codes.sort()).toEqual(["RATE_LIMITED", "RATE_LIMITED", "VALID", "VALID"]);
    const { rateLimits: left } = await s.keys.verifyCredential({ credential });
    expect(left).toMatchObject([{ name: "r", remaining: 0n }]);
  });

  it("asks the server for what knows a revision that it hasn't heard of, and if it is asked to", async () => {
    const { credential } = await issueKey(t);
    await codeOf(credential);
    await codeOf(credential, { noCache: true });
    expect(s.asked()).toBe(2);
    const beyond = { credential, minRevision: 1_000_000n };
    await expect(s.keys.verifyCredential(beyond, { timeoutMs: 100 })).rejects.toThrow();
    expect(s.asked()).toBe(3);
  });
});

describe("a side-car whose server is gone", () => {
  it("goes on with keys and tokens that it can decide about, until what it knows is too old", async () => {
    const { credential } = await issueKey(t);
    const { token } = await derive(t, credential, { format: TokenFormat.MACAROON });
    await codeOf(credential);
    const { sidecar, clock, disconnect } = s;
    disconnect();
    clock.advance(29_000);
    expect(await codeOf(credential)).toBe("VALID");
    expect(await codeOf(token, { audience: testAudience })).toBe("VALID");
    expect(sidecar.readiness.reasons()).toEqual([]);
    clock.advance(2_000);
    expect(await reasonOfRejection(s.keys.verifyCredential({ credential }))).toBe("UPSTREAM_UNAVAILABLE");
    const ofToken = s.tokens.verifyToken({ credential: token, audience: testAudience });
    expect(await reasonOfRejection(ofToken)).toBe("UPSTREAM_UNAVAILABLE");
    expect(sidecar.readiness.reasons()).toEqual(["key_set"]);
  });

  it("hears, when it is back, of what was revoked meanwhile, before it decides again", async () => {
    const { keyId, credential } = await issueKey(t);
    await codeOf(credential);
    s.disconnect();
    const { revision } = await t.admin().revokeApiKey({ keyId });
    expect(await codeOf(credential)).toBe("VALID");
    s.connect();
    s.clock.advance(15_000);
    await heard(revision);
    expect(await codeOf(credential)).toBe("REVOKED");
  });

  documented("VerifyCredential", "UPSTREAM_UNAVAILABLE", async () => {
    const { credential } = await issueKey(t);
    s.disconnect();
    await s.keys.verifyCredential({ credential });
  });

  documented("VerifyToken", "UPSTREAM_UNAVAILABLE", async () => {
    const { token } = await derive(t, (await issueKey(t)).credential);
    s.disconnect();
    await s.tokens.verifyToken({ credential: token, audience: "https://another.example" });
  });
});

describe("a side-car, given a derived token", () => {
  it.each([
    ["JWT", TokenFormat.JWT],
    ["macaroon", TokenFormat.MACAROON],
  ])("decides about a %s of its audience without asking", async (_, format) => {
    const { keyId, credential } = await issueKey(t, { scopes: ["a", "b"] });
    const { token, tokenId } = await derive(t, credential, { format, scopes: ["a"] });
    const demand = { credential: token, audience: testAudience };
    expect(await s.tokens.verifyToken({ ...demand, requiredScopes: ["a"] })).toMatchObject({ valid: true, tokenId });
    expect(await codeOf(token, { audience: testAudience, requiredScopes: ["b"] })).toBe("INSUFFICIENT_SCOPE");
    await heard((await t.admin().revokeApiKey({ keyId })).revision);
    expect((await s.tokens.verifyToken(demand)).code).toBe(Code.REVOKED);
    expect(s.asked()).toBe(0);
  });

  it("leaves one of another audience to the server", async () => {
    const other = "https://another.example";
    const { token } = await derive(t, (await issueKey(t)).credential, { audiences: [other] });
    expect(await codeOf(token, { audience: other })).toBe("VALID");
    expect(await codeOf(token, { audience: testAudience })).toBe("AUDIENCE_MISMATCH");
    expect(s.asked()).toBe(1);
  });

  it("takes no key for a token", async () => {
    const { credential } = await issueKey(t);
    const { code } = await s.tokens.verifyToken({ credential, audience: testAudience });
    expect(code).toBe(Code.MALFORMED);
    expect(s.asked()).toBe(0);
  });
});

describe("what a side-car is asked", () => {
  it("is checked as by the server", async () => {
    const bad = { credential: "x", requiredScopes: ["a:*"] };
    expect(await reasonOfRejection(s.keys.verifyCredential(bad))).toBe("INVALID_FIELD");
    expect(await reasonOfRejection(s.tokens.verifyToken({ credential: "x" }))).toBe("INVALID_FIELD");
  });

  it("is to verify, and nothing else", async () => {
    await expect(s.keys.issueApiKey({ name: "k" })).rejects.toThrow(/unimplemented|not found|404/i);
  });
});
