import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { SelfService } from "../../../gen/ichor/v1/self_service_pb.ts";
import { startTestApp, type TestApp } from "../../support/test-app.ts";

let t: TestApp;
beforeAll(async () => {
  t = await startTestApp();
});
afterAll(() => t.close());

const seconds = (timeMs: number) => BigInt(Math.floor(timeMs / 1000));

async function issue() {
  const { apiKey, credential } = await t.admin().issueApiKey({ name: "k" });
  return { keyId: apiKey?.id ?? "", credential };
}
const get = async (keyId: string) => {
  await t.app.flushUse();
  return (await t.admin().getApiKey({ keyId })).apiKey;
};

describe("the use of a key", () => {
  it("is counted with its last time and address, verifications from memory included", async () => {
    const { keyId, credential } = await issue();
    expect(await get(keyId)).toMatchObject({ useCount: 0n, lastUsedAddress: "" });
    for (const clientIp of ["192.0.2.1", "192.0.2.2", ""]) {
      t.clock.advance(1000);
      await t.admin().verifyCredential({ credential, clientIp });
    }
    expect(await get(keyId)).toMatchObject({
      useCount: 3n,
      lastUsedAddress: "192.0.2.2",
      lastUsedTime: { seconds: seconds(t.clock.now()) },
    });
  });

  it("tells who still uses the old secret", async () => {
    const { keyId, credential } = await issue();
    const rotated = await t.admin().rotateApiKey({ keyId });
    await t.admin().verifyCredential({ credential });
    await t.admin().verifyCredential({ credential: rotated.credential });
    await t.admin().verifyCredential({ credential: rotated.credential });
    const key = await get(keyId);
    expect(key?.secretVersions.map(({ id, useCount }) => [id, useCount])).toEqual([
      ["2", 2n],
      ["1", 1n],
    ]);
    expect(key?.useCount).toBe(3n);
  });

  it("is any presentation of the right secret, and no other", async () => {
    const { keyId, credential } = await issue();
    await t.admin().verifyCredential({ credential: `${credential.slice(0, -1)}~` });
    await t.admin().lookupCredentials({ texts: [credential] });
    await t.admin().verifyCredential({ credential, requiredScopes: ["missing"] });
    expect((await get(keyId))?.useCount).toBe(1n);
  });

  it("counts calls with the key as bearer", async () => {
    const { apiKey, credential } = await t.admin().issueApiKey({ name: "k", scopes: ["ichor:keys:read"] });
    await t.admin(credential).getApiKey({ keyId: apiKey?.id ?? "" });
    expect((await get(apiKey?.id ?? ""))?.useCount).toBe(1n);
  });

  it("is told to the key itself as to an administrator, although its record is kept in memory", async () => {
    const { keyId, credential } = await issue();
    const self = () => t.client(SelfService, credential).getSelf({});
    await self();
    await self();
    const key = await get(keyId);
    expect(key?.useCount).toBe(2n);
    expect((await self()).apiKey).toEqual(key);
  });

  it("makes no revision, no change of the etag, and finds unused keys", async () => {
    const [used, unused] = [await issue(), await issue()];
    const { etag } = (await get(used.keyId)) ?? {};
    const { revision } = await t.app.store.head();
    await t.admin().verifyCredential({ credential: used.credential });
    expect((await get(used.keyId))?.etag).toBe(etag);
    expect((await t.app.store.head()).revision).toBe(revision);
    const filter = `last_used_time < "${new Date(t.clock.now() - 1).toISOString()}"`;
    const ids = (await t.admin().listApiKeys({ filter, pageSize: 1000 })).apiKeys.map(({ id }) => id);
    expect(ids).toContain(unused.keyId);
    expect(ids).not.toContain(used.keyId);
  });

  it("is written when the server ends", async () => {
    const own = await startTestApp();
    const { apiKey, credential } = await own.admin().issueApiKey({ name: "k" });
    await own.admin().verifyCredential({ credential });
    await own.app.close();
    const next = await startTestApp({}, own);
    expect((await next.admin().getApiKey({ keyId: apiKey?.id ?? "" })).apiKey?.useCount).toBe(1n);
    await next.close();
  });
});
