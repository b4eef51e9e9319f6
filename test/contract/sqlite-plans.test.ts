import Database from "better-sqlite3";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { TenantId } from "../../services/core/ids.ts";
import type { Store } from "../../services/store/port.ts";
import { changed, fullKey, inserting, newKeyId, sampleAudit, sampleTenant, sampleTimeMs } from "./samples.ts";
import { openSqliteTestStore } from "./sqlite-files.ts";

let test: Awaited<ReturnType<typeof openSqliteTestStore>>;
let store: Store;
let tenantId: TenantId;
beforeAll(async () => {
  test = await openSqliteTestStore();
  store = test.store;
  const tenant = sampleTenant();
  tenantId = tenant.id;
  await store.mutate(async (tx) => {
    await tx.insertTenant(tenant);
    return { result: undefined, change: { kind: "tenant", tenantId, event: "created" }, audit: sampleAudit(tenantId) };
  });
});
afterAll(() => test.remove());

/** Does something and gives its statements that read a table from one end to the other, or sort what they found. */
async function scansOf(work: () => Promise<unknown>): Promise<string[]> {
  const { prepare } = Database.prototype;
  const statements = new Set<string>();
  Database.prototype.prepare = function (this: Database.Database, sql: string) {
    statements.add(sql);
    return prepare.call(this, sql);
  } as typeof prepare;
  try {
    await work();
  } finally {
    Database.prototype.prepare = prepare;
  }
  const planned = [...statements].filter((sql) => /^\s*(SELECT|UPDATE|DELETE)/i.test(sql));
  expect(planned).not.toEqual([]);
  const database = new Database(test.path, { readonly: true });
  const scans = planned.flatMap((sql) => {
    const parameters = Array(sql.split("?").length - 1).fill(null);
    const plan = database.prepare(`EXPLAIN QUERY PLAN ${sql}`).all(...parameters) as { detail: string }[];
    return plan.filter(({ detail }) => /^(SCAN|USE TEMP B-TREE)/.test(detail)).map(({ detail }) => `${detail}: ${sql}`);
  });
  database.close();
  return scans;
}

describe("what is looked for by the clock", () => {
  it("is found by an index, however much there is of everything else", async () => {
    const nowMs = sampleTimeMs;
    expect(await scansOf(() => store.deadKeyIds(tenantId, nowMs, 100))).toEqual([]);
    expect(await scansOf(() => store.tendIdempotencyRecords(nowMs, 100))).toEqual([]);
    expect(await scansOf(() => store.tokens.dueSigningKeys(nowMs, 100))).toEqual([]);
    expect(await scansOf(() => store.tokens.forgettableTokens(nowMs, 100))).toEqual([]);
    expect(await scansOf(() => store.forgettableMarks(nowMs, 100))).toEqual([]);
  });

  it("is deleted and erased by an index too", async () => {
    const keys = [fullKey(tenantId), fullKey(tenantId)];
    await store.mutate(inserting(...keys));
    const deletion = () =>
      store.mutate(async (tx) => {
        await tx.insertImportTombstones(keys, sampleTimeMs);
        await tx.deleteKeys(keys);
        await tx.eraseIdempotentAnswers(...keys.map(({ id }) => id));
        return changed(undefined, tenantId, newKeyId());
      });
    expect(await scansOf(deletion)).toEqual([]);
  });

  it("would be seen to read a table from one end to the other", async () => {
    const sql = "SELECT id FROM api_key WHERE revision = ?";
    const reading = async () => {
      const database = new Database(test.path, { readonly: true });
      database.prepare(sql).all(1);
      database.close();
    };
    expect(await scansOf(reading)).toEqual([`SCAN api_key: ${sql}`]);
  });
});
