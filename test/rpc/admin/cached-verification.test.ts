import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { VerificationCode } from "../../../gen/ichor/v1/verification_pb.ts";
import type { KeyId } from "../../../services/core/ids.ts";
import { startTestApp, type TestApp } from "../../support/test-app.ts";

let here: TestApp;
let there: TestApp;
beforeAll(async () => {
  here = await startTestApp();
  there = await startTestApp({}, here);
});
afterAll(async () => {
  await there.close();
  await here.close();
});

const issue = async () => {
  const { apiKey, credential } = await here.admin().issueApiKey({ name: "cached", scopes: ["a:*"] });
  return { keyId: apiKey?.id as KeyId, credential };
};

/** How often a server reads records from its store during `work`; following the log isn't counted. */
async function recordReads(server: TestApp, work: () => Promise<unknown>): Promise<string[]> {
  const store = server.app.store as unknown as Record<string, (...args: unknown[]) => unknown>;
  const names = ["getKey", "getTenant", "getTenantBySlug", "liveRootKeyIds", "listSealedSecrets", "mutate"];
  const seen: string[] = [];
  for (const name of names) {
    const original = store[name] as (...args: unknown[]) => unknown;
    store[name] = (...args) => {
      seen.push(name);
      return original.apply(store, args);
    };
  }
  try {
    await work();
  } finally {
    for (const name of names) delete store[name];
  }
  return seen;
}

describe("a verification of a credential that was seen before", () => {
  it("reads nothing from the store, its caller's key included", async () => {
    const { credential } = await issue();
    const verify = () => here.admin().verifyCredential({ credential, requiredScopes: ["a:b"] });
    await verify();
    expect(await recordReads(here, verify)).toEqual([]);
    expect(await recordReads(here, () => here.admin().verifyCredential({ credential, noCache: true }))).toEqual([
      "getTenant",
      "getKey",
    ]);
  });

  it("tells how old its knowledge is and up to which revision it reaches", async () => {
    const { credential } = await issue();
    const cold = await here.admin().verifyCredential({ credential, noCache: true });
    const warm = await here.admin().verifyCredential({ credential });
    expect(warm.revision).toBe(cold.revision);
    const ageMs = Number(warm.age?.seconds) * 1000 + Number(warm.age?.nanos) / 1e6;
    expect(ageMs).toBeGreaterThanOrEqual(0);
    expect(ageMs).toBeLessThan(5_000);
  });

  it("knows every change that this server has answered", async () => {
    const { keyId, credential } = await issue();
    const code = async () => (await here.admin().verifyCredential({ credential })).code;
    for (let round = 0; round < 20; round++) {
      await here.admin().disableApiKey({ keyId });
      expect(await code()).toBe(VerificationCode.DISABLED);
      await here.admin().enableApiKey({ keyId });
      expect(await code()).toBe(VerificationCode.VALID);
    }
    await here.admin().revokeApiKey({ keyId });
    expect(await code()).toBe(VerificationCode.REVOKED);
    await here.admin().deleteApiKey({ keyId });
    expect(await code()).toBe(VerificationCode.NOT_FOUND);
  });

  it("knows a change of another server once that change's revision is asked for", async () => {
    const { keyId, credential } = await issue();
    expect((await there.admin().verifyCredential({ credential })).code).toBe(VerificationCode.VALID);
    const { revision } = await here.admin().revokeApiKey({ keyId });
    const { code } = await there.admin().verifyCredential({ credential, minRevision: revision });
    expect(code).toBe(VerificationCode.REVOKED);
  });
});
