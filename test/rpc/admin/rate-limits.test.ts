import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { TokenFormat } from "../../../gen/ichor/v1/api_key_pb.ts";
import { DerivationService } from "../../../gen/ichor/v1/derivation_service_pb.ts";
import { SelfService } from "../../../gen/ichor/v1/self_service_pb.ts";
import { VerificationCode } from "../../../gen/ichor/v1/verification_pb.ts";
import { documented, reasonOfRejection } from "../../support/documented.ts";
import { startTestApp, type TestApp } from "../../support/test-app.ts";

const { VALID, RATE_LIMITED, INSUFFICIENT_SCOPE } = VerificationCode;
const audience = "https://api.example";
const hour = { seconds: 3_600n, nanos: 0 };

let t: TestApp;

beforeAll(async () => {
  t = await startTestApp();
});
afterAll(() => t.close());

/** A key that may be used three times an hour, and ten times a day, unless it is said otherwise. */
async function issueLimited(fields: object = {}) {
  const rateLimits = [
    { name: "hourly", limit: 3n, period: hour },
    { name: "daily", limit: 10n, period: { seconds: 86_400n, nanos: 0 } },
  ];
  const { credential, apiKey } = await t.admin().issueApiKey({ name: "k", scopes: ["a:*"], rateLimits, ...fields });
  return { credential, keyId: apiKey?.id ?? "", apiKey };
}

const verify = (credential: string, fields: object = {}) => t.admin().verifyCredential({ credential, ...fields });
const codes = async (credential: string, times: number, fields: object = {}) => {
  const found: VerificationCode[] = [];
  for (let i = 0; i < times; i++) found.push((await verify(credential, fields)).code);
  return found;
};

describe("rate limits of a key", () => {
  it("are told as they were given, with the default of the burst", async () => {
    const { keyId } = await issueLimited({
      rateLimits: [
        { name: "api", limit: 10n, period: hour },
        { name: "slow", limit: 1n, period: hour, burst: 5n, strict: true },
      ],
    });
    const { apiKey } = await t.admin().getApiKey({ keyId });
    expect(apiKey?.rateLimits).toMatchObject([
      { name: "api", limit: 10n, period: hour, burst: 10n, strict: false },
      { name: "slow", limit: 1n, period: hour, burst: 5n, strict: true },
    ]);
  });

  it("refuse a verification once they are used up, say what is left and when, and come back with time", async () => {
    const { credential } = await issueLimited();
    const first = await verify(credential);
    expect(first.rateLimits).toMatchObject([
      { name: "hourly", limit: 3n, remaining: 2n },
      { name: "daily", limit: 10n, remaining: 9n },
    ]);
    expect(await codes(credential, 3)).toEqual([VALID, VALID, RATE_LIMITED]);
    const refused = await verify(credential);
    expect(refused).toMatchObject({ valid: false, code: RATE_LIMITED, key: { name: "k" } });
    expect(refused.rateLimits).toMatchObject([{ remaining: 0n }, { remaining: 7n }]);
    const nowSeconds = BigInt(t.clock.now()) / 1000n;
    expect(refused.rateLimits[0]?.resetTime?.seconds).toBe(nowSeconds + 3_600n);
    expect(refused.rateLimits[0]?.retryTime?.seconds).toBe(nowSeconds + 1_200n);
    expect(refused.rateLimits[1]?.retryTime).toBeUndefined();
    t.clock.advance(1_200_000);
    expect(await codes(credential, 2)).toEqual([VALID, RATE_LIMITED]);
  });

  it("take nothing of what is refused, by another check or by one of them", async () => {
    const { credential } = await issueLimited();
    expect(await codes(credential, 5, { requiredScopes: ["b:x"] })).toEqual(Array(5).fill(INSUFFICIENT_SCOPE));
    expect((await verify(credential, { requiredScopes: ["b:x"] })).rateLimits).toEqual([]);
    expect(await codes(credential, 8)).toEqual([VALID, VALID, VALID, ...Array(5).fill(RATE_LIMITED)]);
    expect((await verify(credential, { cost: 0n })).rateLimits).toMatchObject([{ remaining: 0n }, { remaining: 7n }]);
  });

  it("take the cost of a request; 0 only tells what is left", async () => {
    const { credential } = await issueLimited();
    expect(await codes(credential, 3, { cost: 2n })).toEqual([VALID, RATE_LIMITED, RATE_LIMITED]);
    expect(await codes(credential, 3, { cost: 0n })).toEqual([VALID, VALID, VALID]);
    expect((await verify(credential, { cost: 1n })).rateLimits[0]?.remaining).toBe(0n);
    expect(await reasonOfRejection(verify(credential, { cost: -1n }))).toBe("INVALID_FIELD");
    expect(await reasonOfRejection(verify(credential, { cost: 1_000_001n }))).toBe("INVALID_FIELD");
  });

  it("count each item of a batch, and each only once", async () => {
    const { credential } = await issueLimited();
    const requests = Array.from({ length: 5 }, () => ({ credential }));
    const { responses } = await t.admin().batchVerifyCredentials({ requests });
    expect(responses.filter(({ code }) => code === VALID)).toHaveLength(3);
    expect(responses.filter(({ code }) => code === RATE_LIMITED)).toHaveLength(2);
  });

  it("hold for all secrets of the key and for what is derived from it", async () => {
    const { credential, keyId } = await issueLimited({ rateLimits: [{ name: "api", limit: 4n, period: hour }] });
    const derivation = t.client(DerivationService);
    const jwt = await derivation.deriveToken({ credential, format: TokenFormat.JWT, audiences: [audience] });
    const rotated = await t.admin().rotateApiKey({ keyId });
    expect((await verify(credential)).code).toBe(VALID);
    expect((await verify(rotated.credential)).code).toBe(VALID);
    expect((await verify(jwt.token, { audience })).rateLimits).toMatchObject([{ remaining: 0n }]);
    expect((await derivation.verifyToken({ credential: jwt.token, audience })).code).toBe(RATE_LIMITED);
    expect((await verify(rotated.credential)).code).toBe(RATE_LIMITED);
  });

  it("change with UpdateApiKey, keeping what was used, and go with an empty list", async () => {
    const { credential, keyId } = await issueLimited();
    await codes(credential, 3);
    const update = (rateLimits: object[]) =>
      t.admin().updateApiKey({ keyId, apiKey: { rateLimits }, updateMask: { paths: ["rate_limits"] } });
    const { apiKey } = await update([{ name: "hourly", limit: 5n, period: hour }]);
    expect(apiKey?.tokenEpoch).toBe(0n);
    expect(await codes(credential, 3)).toEqual([VALID, VALID, RATE_LIMITED]);
    await update([]);
    expect(await codes(credential, 3)).toEqual([VALID, VALID, VALID]);
    expect((await t.admin().getApiKey({ keyId })).apiKey?.rateLimits).toEqual([]);
  });

  it("are kept for imported keys too", async () => {
    const raw = "an-old-key-of-another-system";
    await t.admin().importApiKey({
      name: "old",
      secret: { case: "raw", value: raw },
      rateLimits: [{ name: "api", limit: 1n, period: hour }],
    });
    expect(await codes(raw, 2)).toEqual([VALID, RATE_LIMITED]);
  });

  it.each([
    ["a bad name", { name: "Api", limit: 1n, period: hour }, "rate_limits[0].name"],
    ["no limit", { name: "api", period: hour }, "rate_limits[0].limit"],
    ["a limit that is too high", { name: "api", limit: 1_000_000_001n, period: hour }, "rate_limits[0].limit"],
    ["no period", { name: "api", limit: 1n }, "rate_limits[0].period"],
    ["a short period", { name: "api", limit: 1n, period: { seconds: 0n, nanos: 9 } }, "rate_limits[0].period"],
    ["a long period", { name: "api", limit: 1n, period: { seconds: 2_678_401n } }, "rate_limits[0].period"],
    ["a negative burst", { name: "api", limit: 1n, period: hour, burst: -1n }, "rate_limits[0].burst"],
  ])("are refused with %s", async (_title, rateLimit, field) => {
    const call = t.admin().issueApiKey({ name: "k", rateLimits: [rateLimit] });
    await expect(call).rejects.toThrow(field);
  });

  it("are refused if two have one name, and if there are more than eight", async () => {
    const some = (...names: string[]) => names.map((name) => ({ name, limit: 1n, period: hour }));
    const issue = (rateLimits: object[]) => t.admin().issueApiKey({ name: "k", rateLimits });
    await expect(issue(some("a", "a"))).rejects.toThrow("rate_limits[1].name");
    await expect(issue(some(..."abcdefghi"))).rejects.toThrow("rate_limits");
    expect((await issue(some(..."abcdefgh"))).apiKey?.rateLimits).toHaveLength(8);
  });
});

describe("a strict rate limit", () => {
  const strict = { rateLimits: [{ name: "api", limit: 9n, period: hour, strict: true }] };
  const derive = (credential: string, audiences: string[]) =>
    t.client(DerivationService, credential).deriveToken({ format: TokenFormat.JWT, audiences });

  it("lets nothing be derived that is verified where nobody counts", async () => {
    const { credential } = await issueLimited(strict);
    expect(await reasonOfRejection(derive(credential, [audience]))).toBe("DERIVATION_NOT_ALLOWED");
    expect((await derive(credential, ["https://ichor.example"])).token).not.toBe("");
  });

  it("ends what was derived before it was set", async () => {
    const { credential, keyId } = await issueLimited({ rateLimits: [] });
    const { token } = await derive(credential, [audience]);
    await t.admin().updateApiKey({ keyId, apiKey: strict, updateMask: { paths: ["rate_limits"] } });
    expect((await verify(token, { audience })).code).toBe(VerificationCode.REVOKED);
  });
});

describe("rate limits of a caller's key", () => {
  const scopes = ["ichor:keys:read", "ichor:keys:verify"];
  const twice = { scopes, rateLimits: [{ name: "calls", limit: 2n, period: hour }] };

  documented("AdminService", "RATE_LIMITED", async () => {
    const { credential, keyId } = await issueLimited(twice);
    for (let i = 0; i < 3; i++) await t.admin(credential).getApiKey({ keyId });
  });

  documented("AdminService", "TOO_MANY_CALLS", async () => {
    const own = await startTestApp({}, undefined, { ICHOR_CALLS_MAX: "10" });
    const gone = new AbortController();
    const forever = { credential: "x", minRevision: 1_000_000n };
    try {
      const waiting = Array.from({ length: 6 }, () =>
        own.admin().verifyCredential(forever, {
          signal: gone.signal,
          headers: { authorization: `Bearer ${own.rootCredential}` },
        }),
      );
      await Promise.race(waiting);
    } finally {
      gone.abort(new Error("enough"));
      await own.close();
    }
  });

  documented("DeriveToken", "RATE_LIMITED", async () => {
    const { credential } = await issueLimited({ rateLimits: [{ name: "calls", limit: 1n, period: hour }] });
    const request = { format: TokenFormat.JWT, audiences: [audience] };
    for (let i = 0; i < 2; i++) await t.client(DerivationService, credential).deriveToken(request);
  });

  it("say which one, and when to try again", async () => {
    const { credential, keyId } = await issueLimited(twice);
    for (let i = 0; i < 2; i++) await t.admin(credential).getApiKey({ keyId });
    const error = await t
      .admin(credential)
      .getApiKey({ keyId })
      .catch((thrown) => thrown);
    expect(JSON.stringify(error.details.map(({ type }: { type: string }) => type))).toContain("RetryInfo");
    t.clock.advance(1_800_000);
    expect((await t.admin(credential).getApiKey({ keyId })).apiKey?.id).toBe(keyId);
  });

  it("take nothing of a call that is refused for its scope, its tenant or its text", async () => {
    const { credential, keyId } = await issueLimited(twice);
    for (let i = 0; i < 5; i++) {
      expect(await reasonOfRejection(t.admin(credential).revokeApiKey({ keyId }))).toBe("SCOPE_MISSING");
      const elsewhere = t.admin(credential, { "ichor-tenant": "default" }).getApiKey({ keyId });
      expect(await reasonOfRejection(elsewhere)).toBe("TENANT_NOT_ALLOWED");
    }
    expect((await t.admin(credential).getApiKey({ keyId })).apiKey?.id).toBe(keyId);
  });

  it("keep nobody from ending its own key", async () => {
    const { credential } = await issueLimited({ rateLimits: [{ name: "calls", limit: 1n, period: hour }] });
    const self = t.client(SelfService, credential);
    await self.getSelf({});
    expect(await reasonOfRejection(self.getSelf({}))).toBe("RATE_LIMITED");
    const { credential: next } = await self.rotateSelf({});
    await t.client(SelfService, next).revokeSelf({});
    expect((await verify(next)).code).toBe(VerificationCode.REVOKED);
  });
});
