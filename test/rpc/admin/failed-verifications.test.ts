import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { VerificationCode } from "../../../gen/ichor/v1/verification_pb.ts";
import { formatIssuedKey } from "../../../services/core/credential.ts";
import { newId } from "../../../services/core/ids.ts";
import { reasonOfRejection } from "../../support/documented.ts";
import { startTestApp, type TestApp } from "../../support/test-app.ts";

const { VALID, NOT_FOUND } = VerificationCode;

let t: TestApp;
/** Look-ups in the store since the test began: of one credential, and of many together. */
let reads = { one: 0, many: 0 };

beforeAll(async () => {
  t = await startTestApp();
  const { store } = t.app;
  for (const [name, kind] of [
    ["getKey", "one"],
    ["getKeys", "many"],
  ] as const) {
    const read = store[name].bind(store) as (asked: never) => Promise<never>;
    Object.assign(store, {
      [name]: (asked: never) => {
        reads[kind] += 1;
        return read(asked);
      },
    });
  }
});
afterAll(() => t.close());
beforeEach(() => {
  t.clock.advance(3_600_000);
  reads = { one: 0, many: 0 };
});

const unknown = () => formatIssuedKey("ichor_sk", newId("key", t.clock.now(), randomBytes(10)), randomBytes(32));
const verify = async (credential: string, clientIp: string) =>
  (await t.admin().verifyCredential({ credential, clientIp })).code;
const flood = (count: number, clientIp: string) =>
  Promise.all(Array.from({ length: count }, () => verify(unknown(), clientIp)));

describe("limits on failed verifications", () => {
  it("bound the look-ups of unknown credentials from one address, and refuse no right secret from there", async () => {
    await t.admin().verifyCredential({ credential: "x" });
    const { credential } = await t.admin().issueApiKey({ name: "k" });
    reads = { one: 0, many: 0 };
    await flood(60, "203.0.113.1");
    expect(reads).toEqual({ one: 60, many: 0 });
    const flooding = flood(300, "203.0.113.1");
    expect(await verify(credential, "203.0.113.1")).toBe(VALID);
    expect((await flooding).every((code) => code === NOT_FOUND)).toBe(true);
    expect(reads.one).toBe(60);
    expect(reads.many).toBeLessThanOrEqual(3);
    expect(reads.many).toBeGreaterThan(0);
  });

  it("leave other addresses alone", async () => {
    await flood(80, "203.0.113.2");
    reads = { one: 0, many: 0 };
    expect(await verify(unknown(), "203.0.113.3")).toBe(NOT_FOUND);
    expect(reads).toEqual({ one: 1, many: 0 });
  });

  it("hold for imported keys too", async () => {
    const raw = "a-key-that-another-system-made";
    await t.admin().importApiKey({ name: "old", secret: { case: "raw", value: raw } });
    await flood(80, "203.0.113.4");
    const wrong = verify("a-key-that-nobody-has-made", "203.0.113.4");
    expect(await verify(raw, "203.0.113.4")).toBe(VALID);
    expect(await wrong).toBe(NOT_FOUND);
  });

  it("hold for callers, and let those with a right credential in", async () => {
    const { credential, apiKey } = await t.admin().issueApiKey({ name: "k", scopes: ["ichor:keys:read"] });
    for (let i = 0; i < 60; i++)
      expect(await reasonOfRejection(t.admin(unknown()).listApiKeys({}))).toBe("CREDENTIAL_REFUSED");
    reads = { one: 0, many: 0 };
    const refused = Array.from({ length: 50 }, () => reasonOfRejection(t.admin(unknown()).listApiKeys({})));
    const mine = await t.admin(credential).getApiKey({ keyId: apiKey?.id ?? "" });
    expect(mine.apiKey?.name).toBe("k");
    expect(new Set(await Promise.all(refused))).toEqual(new Set(["CREDENTIAL_REFUSED"]));
    // The key that GetApiKey tells.
    expect(reads.one).toBeLessThanOrEqual(1);
    expect(reads.many).toBeLessThanOrEqual(3);
  });
});
