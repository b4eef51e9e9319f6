import { join } from "node:path";
import Database from "better-sqlite3";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { VerificationCode } from "../../../gen/ichor/v1/verification_pb.ts";
import { idBytes, type KeyId, type TenantId } from "../../../services/core/ids.ts";
import { purgeDeadKeys } from "../../../services/mutation/purge-dead-keys.ts";
import { reasonOfRejection } from "../../support/documented.ts";
import { insertTenant, startTestApp, type TestApp } from "../../support/test-app.ts";

const dayMs = 86_400_000;

let t: TestApp;
beforeAll(async () => {
  t = await startTestApp();
});
afterAll(() => t.close());

let count = 0;
let slug: string;
let tenantId: TenantId;
beforeEach(async () => {
  slug = `retention-${++count}`;
  const { tenant } = await t.admin().createTenant({ slug, name: slug, settings: { deadKeyRetentionDays: 30 } });
  tenantId = tenant?.id as TenantId;
});

const admin = () => t.admin(undefined, { "ichor-tenant": slug });

function purge(goOn?: () => boolean, rested: number[] = []): Promise<void> {
  let ms = 0;
  const { store } = t.app;
  const rest = async (restMs: number) => void rested.push(restMs);
  return purgeDeadKeys({ store, now: t.clock.now, monotonicMs: () => (ms += 7), rest, log: { info() {} } }, goOn);
}

async function issue(fields: object = {}) {
  const { apiKey, credential } = await admin().issueApiKey({ name: "k", ...fields });
  return { keyId: apiKey?.id ?? "", credential };
}

async function importMany(number: number) {
  const items = Array.from({ length: number }, (_, i) => ({
    name: "bulk",
    secret: { case: "raw" as const, value: `${slug}-bulk-credential-${i}` },
  }));
  await admin().batchImportApiKeys({ items });
}

const ids = async () => (await admin().listApiKeys({ pageSize: 1000 })).apiKeys.map(({ id }) => id);
const revisionNow = async () => (await t.app.store.head()).revision;

describe("a dead key", () => {
  it("is deleted once it has been revoked, or has been expired, for the tenant's days; one that lives or is suspended isn't", async () => {
    const [live, suspended, revoked, expiring] = [
      await issue(),
      await issue(),
      await issue(),
      await issue({ expiration: { case: "ttl", value: { seconds: 3600n } } }),
    ];
    await admin().disableApiKey({ keyId: suspended.keyId });
    await admin().revokeApiKey({ keyId: revoked.keyId });
    t.clock.advance(30 * dayMs - 1);
    await purge();
    expect(await ids()).toHaveLength(4);
    t.clock.advance(1);
    await purge();
    expect((await ids()).sort()).toEqual([live.keyId, suspended.keyId, expiring.keyId].sort());
    t.clock.advance(3_600_000);
    await purge();
    expect((await ids()).sort()).toEqual([live.keyId, suspended.keyId].sort());
    const { code } = await admin().verifyCredential({ credential: revoked.credential });
    expect(code).toBe(VerificationCode.NOT_FOUND);
  });

  it("stays where the tenant names no days", async () => {
    const keeping = `keeping-${count}`;
    await insertTenant(t, { slug: keeping });
    const elsewhere = t.admin(undefined, { "ichor-tenant": keeping });
    const { apiKey } = await elsewhere.issueApiKey({ name: "k" });
    await elsewhere.revokeApiKey({ keyId: apiKey?.id ?? "" });
    t.clock.advance(4_000 * dayMs);
    await purge();
    expect((await elsewhere.getApiKey({ keyId: apiKey?.id ?? "" })).apiKey?.id).toBe(apiKey?.id);
  });

  it("stays revoked for verifiers, who may know tokens of it, and what was imported doesn't come back unawares", async () => {
    await t.admin().updateTenant({ tenant: { slug, settings: { deadKeyRetentionDays: 1 } } });
    const secret = { case: "raw" as const, value: `${slug}-imported-credential` };
    const { apiKey } = await admin().importApiKey({ name: "old", secret });
    await admin().revokeApiKey({ keyId: apiKey?.id ?? "" });
    t.clock.advance(dayMs);
    await purge();
    expect(await ids()).toEqual([]);
    const marked = (await t.app.store.loadKeySet(tenantId))?.markedKeys ?? new Uint8Array();
    expect(Buffer.from(marked).equals(Buffer.from(idBytes(apiKey?.id as KeyId)))).toBe(true);
    expect(await reasonOfRejection(admin().importApiKey({ name: "again", secret }))).toBe("KEY_WAS_REVOKED");
    await admin().importApiKey({ name: "again", secret, allowRevoked: true });
  });
});

describe("many dead keys", () => {
  it("go in pages of one revision and one audit event each, with as long a rest after each", async () => {
    await importMany(250);
    await admin().bulkRevokeApiKeys({ filter: 'name = "bulk"' });
    t.clock.advance(30 * dayMs);
    const before = await revisionNow();
    const rested: number[] = [];
    await purge(undefined, rested);
    expect(await ids()).toEqual([]);
    expect(await revisionNow()).toBe(before + 3n);
    expect(rested).toEqual([7, 7, 7]);
    const changes = (await t.app.store.changesAfter(before, 10)).map(({ change }) => change);
    expect(changes.map((change) => change.kind === "key" && [change.event, change.keyIds.length])).toEqual([
      ["deleted", 100],
      ["deleted", 100],
      ["deleted", 50],
    ]);
    const database = new Database(join(t.dataDir, "ichor.db"), { readonly: true });
    const audited = database
      .prepare("SELECT action, target, caller_key_id AS caller FROM audit_event WHERE revision > ?")
      .all(before);
    database.close();
    expect(audited).toEqual(Array(3).fill({ action: "PurgeDeadKeys", target: tenantId, caller: null }));
  });

  it("are each deleted once by servers that do it at the same time, and by none that stops", async () => {
    await importMany(150);
    await admin().bulkRevokeApiKeys({ filter: 'name = "bulk"' });
    t.clock.advance(30 * dayMs);
    await purge(() => false);
    expect(await ids()).toHaveLength(150);
    const before = await revisionNow();
    await Promise.all([purge(), purge()]);
    expect(await ids()).toEqual([]);
    expect(await revisionNow()).toBe(before + 2n);
  });
});
