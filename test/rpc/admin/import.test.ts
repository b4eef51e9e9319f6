import { createHash, randomBytes } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { CredentialKind, KeyStatus } from "../../../gen/ichor/v1/api_key_pb.ts";
import { VerificationCode } from "../../../gen/ichor/v1/verification_pb.ts";
import type { TenantSettings } from "../../../services/core/tenant.ts";
import { documented, reasonOfRejection } from "../../support/documented.ts";
import { changeSettings } from "../../support/settings.ts";
import { insertTenant, startTestApp, type TestApp } from "../../support/test-app.ts";

let t: TestApp;
beforeAll(async () => {
  t = await startTestApp();
});
afterAll(() => t.close());

const rawKey = () => `legacy-${randomBytes(12).toString("hex")}`;
const sha256 = (raw: string) => new Uint8Array(createHash("sha256").update(raw).digest());
const raw = (value: string) => ({ case: "raw" as const, value });

async function imported(value = rawKey(), fields: object = {}) {
  const { apiKey } = await t.admin().importApiKey({ secret: raw(value), name: "legacy", ...fields });
  return { keyId: apiKey?.id ?? "", credential: value };
}

async function code(credential: string): Promise<VerificationCode> {
  return (await t.admin().verifyCredential({ credential })).code;
}

async function revokedAndDeleted(): Promise<string> {
  const { keyId, credential } = await imported();
  await t.admin().revokeApiKey({ keyId });
  await t.admin().deleteApiKey({ keyId });
  return credential;
}

async function withSettings<T>(settings: Partial<TenantSettings>, work: () => Promise<T>): Promise<T> {
  const before = await changeSettings(t.app.store, settings);
  return work().finally(() => changeSettings(t.app.store, before));
}

describe("an imported key", () => {
  it("verifies by the credential that its holders have, raw or as its SHA-256, at once", async () => {
    const [one, two] = [rawKey(), rawKey()];
    expect(await code(one)).toBe(VerificationCode.NOT_FOUND);
    const { apiKey } = await t.admin().importApiKey({
      secret: raw(one),
      name: "legacy",
      ownerId: "acme",
      scopes: ["a:b"],
      labels: { from: "old" },
    });
    expect(apiKey).toMatchObject({ kind: CredentialKind.IMPORTED_KEY, prefix: "", status: KeyStatus.ACTIVE });
    await t.admin().importApiKey({ secret: { case: "sha256", value: sha256(two) }, name: "legacy" });
    const verified = await t.admin().verifyCredential({ credential: one, requiredScopes: ["a:b"] });
    expect(verified).toMatchObject({ valid: true, kind: CredentialKind.IMPORTED_KEY, key: { ownerId: "acme" } });
    expect(await code(two)).toBe(VerificationCode.VALID);
    expect(await code(`${one} `)).toBe(VerificationCode.NOT_FOUND);
  });

  it("is disabled, revoked and deleted like every other, and can't be rotated", async () => {
    const { keyId, credential } = await imported();
    await t.admin().disableApiKey({ keyId });
    expect(await code(credential)).toBe(VerificationCode.DISABLED);
    await t.admin().enableApiKey({ keyId });
    expect(await reasonOfRejection(t.admin().rotateApiKey({ keyId }))).toBe("KEY_KIND_NOT_ALLOWED");
    await t.admin().revokeApiKey({ keyId });
    expect(await code(credential)).toBe(VerificationCode.REVOKED);
    await t.admin().deleteApiKey({ keyId });
    expect(await code(credential)).toBe(VerificationCode.NOT_FOUND);
  });

  it("comes back after its revocation only if that is asked for, and once", async () => {
    const credential = await revokedAndDeleted();
    const again = { secret: raw(credential), name: "again" };
    expect(await reasonOfRejection(t.admin().importApiKey(again))).toBe("KEY_WAS_REVOKED");
    const { apiKey } = await t.admin().importApiKey({ ...again, allowRevoked: true });
    expect((await t.admin().verifyCredential({ credential })).key?.id).toBe(apiKey?.id);
    await t.admin().revokeApiKey({ keyId: apiKey?.id ?? "" });
    await t.admin().deleteApiKey({ keyId: apiKey?.id ?? "" });
    expect(await reasonOfRejection(t.admin().importApiKey(again))).toBe("KEY_WAS_REVOKED");
  });

  it("comes back freely if it only expired", async () => {
    const credential = rawKey();
    const { keyId } = await imported(credential, { expiration: { case: "ttl", value: { seconds: 1n } } });
    t.clock.advance(1000);
    await t.admin().deleteApiKey({ keyId });
    expect((await imported(credential)).keyId).not.toBe(keyId);
  });

  it("has its tenant to itself: another one doesn't know it, and may import the same", async () => {
    const { credential } = await imported();
    const other = await insertTenant(t, { slug: "other" });
    const there = t.admin(undefined, { "ichor-tenant": other });
    expect((await there.verifyCredential({ credential })).code).toBe(VerificationCode.NOT_FOUND);
    await there.importApiKey({ secret: raw(credential), name: "same" });
    expect((await there.verifyCredential({ credential })).code).toBe(VerificationCode.VALID);
  });

  it("calls as a bearer in tenant default only, and without any reserved scope it may do nothing", async () => {
    const { credential } = await imported();
    expect(await reasonOfRejection(t.admin(credential).getApiKey({ keyId: "key_1" }))).toBe("SCOPE_MISSING");
    const there = t.admin(undefined, { "ichor-tenant": await insertTenant(t, { slug: "elsewhere" }) });
    const foreign = rawKey();
    await there.importApiKey({ secret: raw(foreign), name: "foreign" });
    expect(await reasonOfRejection(t.admin(foreign).getApiKey({ keyId: "key_1" }))).toBe("CREDENTIAL_REFUSED");
  });

  it.each([
    ["shorter than 16 bytes", "x".repeat(15)],
    ["longer than 4096 bytes", "x".repeat(4097)],
    ["with a control character", `${"x".repeat(20)}\n`],
    ["that looks like a macaroon", "ichor_mc_abcdefghijklmnop"],
    ["that looks like an issued key of the tenant", `ichor_sk_${"0".repeat(75)}`],
    ["that looks like a JWT", "aaaaaaaa.bbbbbbbb.cccccccc"],
  ])("is refused if raw %s", async (_name, value) => {
    expect(await reasonOfRejection(imported(value))).toBe("INVALID_FIELD");
  });

  it("is refused if it is an issued key of whatever tenant", async () => {
    const { credential } = await t.admin().issueApiKey({ name: "k" });
    expect(await reasonOfRejection(imported(credential))).toBe("INVALID_FIELD");
    const there = t.admin(undefined, { "ichor-tenant": await insertTenant(t, { slug: "prefixed" }) });
    expect(await reasonOfRejection(there.importApiKey({ secret: raw(credential), name: "k" }))).toBe("INVALID_FIELD");
  });

  it.each([
    ["no secret", { name: "k" }],
    ["a hash of another length", { name: "k", secret: { case: "sha256" as const, value: new Uint8Array(31) } }],
    ["a reserved scope", { name: "k", secret: raw("y".repeat(20)), scopes: ["ichor:keys:read"] }],
    ["no name", { secret: raw("y".repeat(20)) }],
  ])("is refused with %s", async (_name, request) => {
    expect(await reasonOfRejection(t.admin().importApiKey(request))).toBe("INVALID_FIELD");
  });

  it("may be shorter where the tenant allows", async () => {
    await withSettings({ importedKeyBytesMin: 8 }, async () => {
      expect(await code((await imported(randomBytes(4).toString("hex"))).credential)).toBe(VerificationCode.VALID);
    });
  });

  documented("ImportApiKey", "KEY_ALREADY_EXISTS", async () => {
    const { credential, keyId } = await imported();
    await t.admin().revokeApiKey({ keyId });
    return imported(credential, { allowRevoked: true });
  });
  documented("ImportApiKey", "KEY_WAS_REVOKED", async () => imported(await revokedAndDeleted()));
  documented("ImportApiKey", "QUOTA_EXCEEDED", () => withSettings({ keysMax: 0 }, () => imported()));
  documented("IssueApiKey", "QUOTA_EXCEEDED", () =>
    withSettings({ keysPerOwnerMax: 1 }, async () => {
      await t.admin().issueApiKey({ name: "k", ownerId: "bounded" });
      return t.admin().issueApiKey({ name: "k", ownerId: "bounded" });
    }),
  );
  documented("ImportApiKey", "REQUEST_ID_REUSED", async () => {
    await imported(rawKey(), { requestId: "r" });
    return imported(rawKey(), { requestId: "r" });
  });
  documented("ImportApiKey", "TENANT_DISABLED", async () =>
    t
      .admin(undefined, { "ichor-tenant": await insertTenant(t, { slug: "off", state: "DISABLED" }) })
      .importApiKey({ secret: raw(rawKey()), name: "k" }),
  );
});

describe("a batch of imports", () => {
  it("makes the good ones in one revision and says of the others why not", async () => {
    const known = (await imported()).credential;
    const [one, two] = [rawKey(), rawKey()];
    const before = await t.app.store.head();
    const { results, revision } = await t.admin().batchImportApiKeys({
      items: [
        { secret: raw(one), name: "one", labels: { n: "1" } },
        { secret: raw("short"), name: "two" },
        { secret: raw(known), name: "known" },
        { secret: raw(one), name: "twice" },
        { secret: raw(two), name: "" },
        { secret: raw(two), name: "five" },
        { secret: raw(await revokedAndDeleted()), name: "dead" },
      ],
    });
    const outcomes = results.map(({ outcome }) =>
      outcome.case === "error" ? outcome.value.reason : outcome.value?.name,
    );
    expect(outcomes).toEqual([
      "one",
      "INVALID_FIELD",
      "KEY_ALREADY_EXISTS",
      "KEY_ALREADY_EXISTS",
      "INVALID_FIELD",
      "five",
      "KEY_WAS_REVOKED",
    ]);
    expect(results.map(({ index }) => index)).toEqual([0, 1, 2, 3, 4, 5, 6]);
    const error = results[4]?.outcome;
    expect(error?.case === "error" && error.value.violations[0]?.field).toBe("name");
    // The three of `revokedAndDeleted`, and this one.
    expect(revision).toBe(before.revision + 4n);
    expect(await code(one)).toBe(VerificationCode.VALID);
    expect(await code(two)).toBe(VerificationCode.VALID);
  });

  it("is one entry of the log that names every key", async () => {
    const { results, revision } = await t.admin().batchImportApiKeys({
      items: [rawKey(), rawKey()].map((value) => ({ secret: raw(value), name: "k" })),
    });
    const [row] = await t.app.store.changesAfter(revision - 1n, 1);
    const keyIds = results.map(({ outcome }) => outcome.case === "apiKey" && outcome.value.id);
    expect(row?.change).toMatchObject({ kind: "key", event: "imported", keyIds });
  });

  it("changes nothing if no item is good", async () => {
    const { revision } = await t.app.store.head();
    const answer = await t.admin().batchImportApiKeys({ items: [{ secret: raw("short"), name: "k" }] });
    expect(answer.revision).toBe(revision);
    expect((await t.app.store.head()).revision).toBe(revision);
  });

  it("answers a repeat as it answered first, for 24 h", async () => {
    const request = { items: [{ secret: raw(rawKey()), name: "k" }], requestId: "batch-1" };
    const first = await t.admin().batchImportApiKeys(request);
    t.clock.advance(23 * 3_600_000);
    expect(await t.admin().batchImportApiKeys(request)).toEqual(first);
  });

  it("counts each item against the quotas", async () => {
    await withSettings({ keysPerOwnerMax: 2 }, async () => {
      const items = [1, 2, 3].map(() => ({ secret: raw(rawKey()), name: "k", ownerId: "crowd" }));
      const { results } = await t.admin().batchImportApiKeys({ items });
      expect(results.map(({ outcome }) => outcome.case)).toEqual(["apiKey", "apiKey", "error"]);
    });
  });

  it.each([
    ["no item", []],
    ["more than 1000 items", Array.from({ length: 1001 }, () => ({ name: "k" }))],
  ])("is refused with %s", async (_name, items) => {
    expect(await reasonOfRejection(t.admin().batchImportApiKeys({ items }))).toBe("INVALID_FIELD");
  });

  documented("BatchImportApiKeys", "REQUEST_ID_REUSED", async () => {
    const batch = () => t.admin().batchImportApiKeys({ items: [{ secret: raw(rawKey()), name: "k" }], requestId: "b" });
    await batch();
    return batch();
  });
  documented("BatchImportApiKeys", "TENANT_DISABLED", async () =>
    t
      .admin(undefined, { "ichor-tenant": await insertTenant(t, { slug: "closed", state: "DISABLED" }) })
      .batchImportApiKeys({ items: [{ secret: raw(rawKey()), name: "k" }] }),
  );
});
