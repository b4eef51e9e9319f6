import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { documented, reasonOfRejection } from "../../support/documented.ts";
import { changeSettings } from "../../support/settings.ts";
import { startTestApp, type TestApp } from "../../support/test-app.ts";

let t: TestApp;
beforeAll(async () => {
  t = await startTestApp();
});
afterAll(() => t.close());

const unknownKeyId = "key_01jdc9z1s8f4v9x2h3k4m5n6p7";

async function issue(fields: object = {}) {
  const { apiKey, credential } = await t.admin().issueApiKey({ name: "k", scopes: ["a:*", "b"], ...fields });
  return { keyId: apiKey?.id ?? "", credential, etag: apiKey?.etag ?? "", epoch: apiKey?.tokenEpoch };
}

const update = (keyId: string, apiKey: object, paths: string[], more: object = {}) =>
  t.admin().updateApiKey({ keyId, apiKey, updateMask: { paths }, ...more });

async function rootKeyId(): Promise<string> {
  return (await t.admin().verifyCredential({ credential: t.rootCredential })).key?.id ?? "";
}

describe("UpdateApiKey", () => {
  it("changes the fields of the mask and no others, and the next verification knows it", async () => {
    const { keyId, credential } = await issue({ labels: { env: "dev" } });
    const { apiKey } = await update(keyId, { name: "new", scopes: ["c"], labels: { env: "prod" } }, ["name", "scopes"]);
    expect(apiKey).toMatchObject({ name: "new", scopes: ["c"], labels: { env: "dev" } });
    expect((await t.admin().verifyCredential({ credential })).key).toMatchObject({ name: "new", scopes: ["c"] });
  });

  it("without a mask changes what is set; with * everything, to empty where it isn't", async () => {
    const { keyId } = await issue({ labels: { env: "dev" }, metadata: { a: 1 } });
    const one = await t.admin().updateApiKey({ keyId, apiKey: { allowedCidrs: ["10.1.2.3/8"] } });
    expect(one.apiKey).toMatchObject({ name: "k", labels: { env: "dev" }, allowedCidrs: ["10.0.0.0/8"] });
    const all = await update(keyId, { name: "all" }, ["*"]);
    expect(all.apiKey).toMatchObject({ name: "all", labels: {}, scopes: [], allowedCidrs: [] });
    expect(all.apiKey?.metadata).toBeUndefined();
    expect(all.apiKey?.expireTime).toBeUndefined();
  });

  it.each([
    ["fewer scopes", { scopes: ["a:x"] }, "scopes", 1n],
    ["more scopes", { scopes: ["a:*", "b", "c"] }, "scopes", 0n],
    ["another scope instead", { scopes: ["a:*", "c"] }, "scopes", 1n],
    ["a network", { allowedCidrs: ["10.0.0.0/8"] }, "allowed_cidrs", 1n],
    ["constraints", { constraints: { audiences: ["x"] } }, "constraints", 1n],
    ["a nearer end", { expireTime: { seconds: BigInt(Date.UTC(2026, 0, 2) / 1000) } }, "expire_time", 1n],
    ["no end", {}, "expire_time", 0n],
    ["a narrower derive policy", { derivePolicy: { enabled: false } }, "derive_policy", 1n],
    ["another name", { name: "x" }, "name", 0n],
    ["labels and nothing else", { labels: { a: "b" } }, "labels", 0n],
  ])("raises the token epoch if the key allows less: %s", async (_name, apiKey, path, epoch) => {
    const { keyId } = await issue();
    expect((await update(keyId, apiKey, [path])).apiKey?.tokenEpoch).toBe(epoch);
  });

  it("leaves derived tokens alive on narrowing if that is asked for", async () => {
    const { keyId } = await issue();
    const { apiKey } = await update(keyId, { scopes: [] }, ["scopes"], { keepDerived: true });
    expect(apiKey?.tokenEpoch).toBe(0n);
  });

  it("that changes nothing makes no revision and keeps the etag", async () => {
    const { keyId, etag } = await issue();
    const { revision } = await t.app.store.head();
    const { apiKey } = await update(keyId, { name: "k" }, ["name"]);
    expect(apiKey?.etag).toBe(etag);
    expect((await t.app.store.head()).revision).toBe(revision);
  });

  it("with the etag of now succeeds, and of two with the same one wins", async () => {
    const { keyId, etag } = await issue();
    const both = await Promise.allSettled([
      update(keyId, { name: "x" }, ["name"], { etag }),
      update(keyId, { name: "y" }, ["name"], { etag }),
    ]);
    expect(both.map(({ status }) => status).sort()).toEqual(["fulfilled", "rejected"]);
  });

  it.each([
    ["an unknown path", { name: "x" }, ["nonsense"], "update_mask.paths[0]"],
    ["a field that never changes", { ownerId: "x" }, ["owner_id"], "update_mask.paths[0]"],
    ["a path into metadata", { metadata: { a: 1 } }, ["metadata.a"], "update_mask.paths[0]"],
    ["an empty name", {}, ["name"], "api_key.name"],
    ["a scope that is none", { scopes: ["a b"] }, ["scopes"], "api_key.scopes[0]"],
    ["an end in the past", { expireTime: { seconds: 1n } }, ["expire_time"], "api_key.expire_time"],
    [
      "a limit without a period",
      { rateLimits: [{ name: "x", limit: 1n }] },
      ["rate_limits"],
      "api_key.rate_limits[0].period",
    ],
    ["nothing to change", {}, [], "update_mask"],
  ])("refuses %s", async (_name, apiKey, paths, field) => {
    const { keyId } = await issue();
    const call = update(keyId, apiKey, paths);
    expect(await reasonOfRejection(call)).toBe("INVALID_FIELD");
    await expect(call).rejects.toThrow(field);
  });

  it("lets nobody give reserved scopes to a key that can't hold them", async () => {
    const { keyId } = await issue({ visibility: 2 });
    expect(await reasonOfRejection(update(keyId, { scopes: ["ichor:keys:read"] }, ["scopes"]))).toBe("INVALID_FIELD");
  });

  it("keeps to the tenant's rule about ends", async () => {
    const { keyId } = await issue();
    const before = await changeSettings(t.app.store, { neverExpiresAllowed: false });
    expect(await reasonOfRejection(update(keyId, {}, ["expire_time"]))).toBe("INVALID_FIELD");
    await changeSettings(t.app.store, before);
  });

  it("lets the root be renamed, and narrowed once there is another", async () => {
    const own = await startTestApp();
    const keyId = (await own.admin().verifyCredential({ credential: own.rootCredential })).key?.id ?? "";
    const narrow = () => own.admin().updateApiKey({ keyId, apiKey: { allowedCidrs: ["10.0.0.0/8"] } });
    await own.admin().updateApiKey({ keyId, apiKey: { name: "the root" } });
    expect(await reasonOfRejection(narrow())).toBe("LAST_ROOT_CREDENTIAL");
    await own.admin().issueApiKey({ name: "second", scopes: ["ichor:*"] });
    await narrow();
    await own.close();
  });

  documented("UpdateApiKey", "KEY_NOT_FOUND", () => update(unknownKeyId, { name: "x" }, ["name"]));
  documented("UpdateApiKey", "KEY_REVOKED", async () => {
    const { keyId } = await issue();
    await t.admin().revokeApiKey({ keyId });
    return update(keyId, { name: "x" }, ["name"]);
  });
  documented("UpdateApiKey", "ETAG_MISMATCH", async () => {
    const { keyId, etag } = await issue();
    await update(keyId, { name: "x" }, ["name"]);
    return update(keyId, { name: "y" }, ["name"], { etag });
  });
  documented("UpdateApiKey", "LAST_ROOT_CREDENTIAL", async () =>
    update(await rootKeyId(), { scopes: ["ichor:keys:*"] }, ["scopes"]),
  );
  documented("UpdateApiKey", "RESERVED_SCOPE_NOT_COVERED", async () => {
    const writer = await issue({ scopes: ["ichor:keys:write"] });
    const { keyId } = await issue();
    return t.admin(writer.credential).updateApiKey({ keyId, apiKey: { scopes: ["ichor:keys:read"] } });
  });
  documented("UpdateApiKey", "REQUEST_ID_REUSED", async () => {
    const { keyId } = await issue();
    await update(keyId, { name: "x" }, ["name"], { requestId: "u" });
    return update(keyId, { name: "y" }, ["name"], { requestId: "u" });
  });
});
