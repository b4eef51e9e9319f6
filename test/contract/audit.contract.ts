import { randomBytes } from "node:crypto";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { AuditFaultKind, VerifyAuditChainRequestSchema } from "../../gen/ichor/v1/audit_pb.ts";
import { verifiedRevisionsMax, verifyAuditChain } from "../../services/admin/verify-audit-chain.ts";
import type { ApiKey } from "../../services/core/api-key.ts";
import { parseAuditFilter } from "../../services/core/audit/audit-filter.ts";
import type { TenantId } from "../../services/core/ids.ts";
import { loadCheckpointKeys } from "../../services/keyring/checkpoint-keys.ts";
import { MasterKeys } from "../../services/keyring/master-key.ts";
import { checkpointIntervalMs, rotateCheckpointKey, tendCheckpoints } from "../../services/keyring/tend-checkpoints.ts";
import type { Call } from "../../services/rpc/call.ts";
import type { AuditQuery } from "../../services/store/audit-port.ts";
import type { Store } from "../../services/store/port.ts";
import { nameOf } from "../../services/wire/enums.ts";
import { FakeClock } from "../fakes/clock.ts";
import { changed, inserting, newKeyId, sampleAudit, sampleKey, sampleTenant } from "./samples.ts";
import type { OpenTestStore, TestStore } from "./store.contract.ts";

/** What every adapter holds of the audit trail: lists, tampering that is found and named, checkpoints. */
export function auditContract(open: OpenTestStore): void {
  describe("the audit trail", () => {
    const masterKeys = new MasterKeys([randomBytes(32)]);
    let clock: FakeClock;
    let test: TestStore;
    let store: Store;
    let tenantId: TenantId;
    let logged: { readonly message: string; readonly fields: Readonly<Record<string, unknown>> }[];

    /** Revision 1 makes the tenant, 2 to 9 a key each, 10 the key of checkpoints; checkpoint 1 is of revision 10. */
    beforeEach(async () => {
      test = await open();
      store = test.store;
      clock = new FakeClock();
      logged = [];
      const tenant = sampleTenant();
      tenantId = tenant.id;
      await store.mutate(async (tx) => {
        await tx.insertTenant(tenant);
        const change = { kind: "tenant", tenantId, event: "created" } as const;
        return { result: undefined, change, audit: sampleAudit(tenantId) };
      });
      for (let i = 0; i < 8; i++) await insertKey();
      await tendCheckpoints(deps());
    });
    afterEach(() => test.remove());

    const insertKey = () => store.mutate(inserting(sampleKey(tenantId)));
    const deps = () => ({
      ...{ store, masterKeys, random: randomBytes, now: clock.now },
      log: { info: (fields: object, message: string) => void logged.push({ message, fields: { ...fields } }) },
    });
    const keptStatements = () =>
      logged.flatMap(({ message, fields }) => (message === "audit checkpoint" ? String(fields.statement) : []));

    async function verify(request: MessageInitShape<typeof VerifyAuditChainRequestSchema> = {}) {
      const run = verifyAuditChain({ store, checkpointKeys: () => loadCheckpointKeys(store, masterKeys) });
      return run(create(VerifyAuditChainRequestSchema, request), {} as Call);
    }
    const faultOf = async (request = {}) => {
      const { fault } = await verify(request);
      return fault && `${nameOf(AuditFaultKind, fault.kind)}: ${fault.description}`;
    };

    it("is right up to its head, as the checkpoint bears out", async () => {
      await insertKey();
      expect(await verify()).toMatchObject({ verifiedRevision: 11n, nextRevision: 0n, checkpointsCompared: 1 });
      expect(await faultOf()).toBeUndefined();
    });

    it("is right where payloads were compacted, too", async () => {
      clock.advance(1);
      expect(await store.compactChanges(clock.now(), 100)).toBe(9);
      expect(await faultOf()).toBeUndefined();
    });

    it("is checked in parts, each from the hash where the one before ended", async () => {
      const first = await verify({ toRevision: 4n });
      expect(first).toMatchObject({ verifiedRevision: 4n, checkpointsCompared: 0 });
      const previousHash = first.verifiedHash as Uint8Array<ArrayBuffer>;
      expect(await faultOf({ fromRevision: 5n, previousHash })).toBeUndefined();
      expect(await faultOf({ fromRevision: 6n, previousHash })).toMatch(/^REWRITTEN: revision 5/);
      expect(verifiedRevisionsMax).toBe(10_000);
    });

    it("shows what someone did to it past the server, and where", async () => {
      const tables = ["change_log", "audit_event", "store_head", "audit_checkpoint"];
      for (const table of tables) await test.query(`CREATE TABLE kept_${table} AS SELECT * FROM ${table}`);
      const found: Record<string, string | undefined> = {};
      for (const [name, statements] of tamperings) {
        for (const sql of statements) await test.query(sql);
        found[name] = await faultOf();
        for (const table of tables) {
          await test.query(`DELETE FROM ${table}`);
          await test.query(`INSERT INTO ${table} SELECT * FROM kept_${table}`);
        }
      }
      expect(found).toEqual(Object.fromEntries(tamperings.map(([name, , fault]) => [name, fault])));
      expect(await faultOf()).toBeUndefined();
      for (const table of tables) await test.query(`DROP TABLE kept_${table}`);
    });

    it("shows a missing checkpoint, and what kept ones tell when the database has none", async () => {
      for (let i = 0; i < 2; i++) {
        await insertKey();
        clock.advance(checkpointIntervalMs);
        await tendCheckpoints(deps());
      }
      expect(await verify()).toMatchObject({ checkpointsCompared: 3, verifiedRevision: 12n });
      await test.query("DELETE FROM audit_checkpoint WHERE number = 2");
      expect(await faultOf()).toBe("CHECKPOINT_REMOVED: checkpoint 2 was removed");
      for (const sql of [...cut(11), "DELETE FROM audit_checkpoint", ...headTo(11)]) await test.query(sql);
      expect(await faultOf()).toBeUndefined();
      expect(await faultOf({ checkpoints: keptStatements() })).toMatch(/^TAIL_CUT: revision 12: .* checkpoint 3/);
    });

    it("shows a log that was written anew, by a checkpoint of before", async () => {
      for (const sql of [...cut(9), ...headTo(9)]) await test.query(sql);
      await store.mutate(async () => changed(undefined, tenantId, newKeyId()));
      const rewritten = /^REWRITTEN: revision 10: checkpoint 1 tells of another history; .* up to revision 0/;
      expect(await faultOf()).toMatch(rewritten);
    });

    it("refuses kept statements that no key of the store signed", async () => {
      const other = { ...deps(), masterKeys: new MasterKeys([randomBytes(32)]) };
      const foreign = await open();
      await foreign.store.mutate(async (tx) => {
        const tenant = sampleTenant();
        await tx.insertTenant(tenant);
        return changed(undefined, tenant.id);
      });
      await tendCheckpoints({ ...other, store: foreign.store });
      await foreign.remove();
      const violation = [{ field: "checkpoints[1]", description: expect.any(String) }];
      await expect(verify({ checkpoints: keptStatements() })).rejects.toMatchObject({ violations: violation });
    });

    it("is signed again when it has grown and the time has come, by one of several servers", async () => {
      await tendCheckpoints(deps());
      clock.advance(checkpointIntervalMs);
      await tendCheckpoints(deps());
      expect(keptStatements()).toHaveLength(1);
      await insertKey();
      await Promise.all([1, 2, 3].map(() => tendCheckpoints(deps())));
      expect(keptStatements()).toHaveLength(2);
      const rows = await store.audit.listCheckpoints(0n, 10);
      expect(rows.map(({ number, statement }) => [number, statement])).toEqual([
        [1n, keptStatements()[0]],
        [2n, keptStatements()[1]],
      ]);
      expect(rows[1]).toMatchObject({ revision: 11n, timeMs: clock.now() });
      expect(await store.audit.listCheckpoints(1n, 10)).toEqual([rows[1]]);
    });

    it("is signed by another key after a rotation, which the old one vouches for", async () => {
      const [before] = (await loadCheckpointKeys(store, masterKeys)).keys;
      const kid = await rotateCheckpointKey(deps());
      await insertKey();
      clock.advance(checkpointIntervalMs);
      await tendCheckpoints(deps());
      const rows = await store.audit.listCheckpoints(0n, 10);
      expect(rows.map((row) => row.kid)).toEqual([before?.kid, before?.kid, kid]);
      expect(await verify({ checkpoints: keptStatements() })).toMatchObject({ checkpointsCompared: 6 });
      const { keys } = await loadCheckpointKeys(store, masterKeys);
      expect(keys.map((key) => [key.kid, key.privateKey !== undefined])).toEqual(
        expect.arrayContaining([
          [kid, true],
          [before?.kid, false],
        ]),
      );
    });

    it("is listed by tenant, filter and order, a part at a time", async () => {
      const audit = sampleAudit(newTenantOf(), { action: "Other" });
      await store.mutate(async () => ({
        result: undefined,
        change: { kind: "audit", tenantId, event: "noted" },
        audit,
      }));
      const list = async (filter: string, fields: Partial<AuditQuery> = {}, after?: bigint, lookMax = 100) => {
        const query = {
          tenantId,
          descending: false,
          filter: parseAuditFilter(filter) as AuditQuery["filter"],
          ...fields,
        };
        const { hits, next } = await store.audit.scanEvents(query, after, lookMax);
        return [hits.map(({ revision }) => Number(revision)), next];
      };
      expect(await list("")).toEqual([[1, 2, 3, 4, 5, 6, 7, 8, 9, 10], undefined]);
      expect(await list("", { descending: true }, 4n)).toEqual([[3, 2, 1], undefined]);
      expect(await list("revision > 2 AND revision < 6", {}, undefined, 2)).toEqual([[3, 4], 4n]);
      expect(await list("action = CreateCheckpointKey", {}, undefined, 3)).toEqual([[], 3n]);
      expect(await list("action = CreateCheckpointKey", {}, 3n)).toEqual([[10], undefined]);
      const { hits } = await store.audit.scanEvents({ tenantId, descending: false, filter: { eventTime: {} } }, 1n, 1);
      expect(await list(`target = ${hits[0]?.target}`)).toEqual([[2], undefined]);
      expect(await list("", { tenantId: audit.tenantId })).toEqual([[11], undefined]);
    });

    it("keeps details, and the whole event as it was hashed", async () => {
      const caller = { keyId: newKeyId(), tenantId };
      const digests = { beforeDigest: new Uint8Array(32).fill(1), afterDigest: new Uint8Array(32).fill(2) };
      const audit = sampleAudit(tenantId, { caller, ...digests, details: { count: "7", sample: "größte 🔑" } });
      const { revision } = await store.mutate(async () => ({
        result: undefined,
        change: { kind: "audit", tenantId, event: "noted" },
        audit,
      }));
      const query = { tenantId, descending: true, filter: { eventTime: {} } };
      const { hits } = await store.audit.scanEvents(query, undefined, 1);
      expect(hits).toEqual([{ ...audit, revision, id: expect.stringMatching(/^evt_/), timeMs: expect.any(Number) }]);
      expect(await faultOf()).toBeUndefined();
    });

    it("goes over keys in the order of their ends, and moves a cursor once from each place", async () => {
      const key = (expireTimeMs: number, changes = {}) => sampleKey(tenantId, { expireTimeMs, ...changes });
      const base = sampleKey(tenantId).createTimeMs;
      const [a, b] = [key(base + 2_000), key(base + 2_000)].sort((x, y) => (x.id < y.id ? -1 : 1)) as [ApiKey, ApiKey];
      const [first, last] = [key(base + 1_000), key(base + 3_000)];
      const young = key(base + 2_500, { createTimeMs: base + 1_600 });
      await store.mutate(inserting(last, b, a, first, young, key(base + 2_000, { state: "REVOKED" })));
      const { expiry } = store;
      const from = { expireTimeMs: base + 1_000, keyId: "" } as const;
      const ids = async (...args: Parameters<typeof expiry.expiringKeys>) =>
        (await expiry.expiringKeys(...args)).map(({ id }) => id);
      expect(await ids(from, base + 2_000, 900, 10)).toEqual([first.id, a.id, b.id]);
      expect(await ids({ expireTimeMs: base + 2_000, keyId: a.id }, base + 3_000, 900, 10)).toEqual([b.id, last.id]);
      expect(await ids(from, base + 3_000, 0, 4)).toEqual([first.id, a.id, b.id, young.id]);
      expect(await expiry.expiryCursor(900)).toBeUndefined();
      expect(await expiry.moveExpiryCursor(900, undefined, from)).toBe(true);
      expect(await expiry.moveExpiryCursor(900, undefined, from)).toBe(false);
      const next = { expireTimeMs: base + 1_000, keyId: first.id };
      const moves = await Promise.all([1, 2, 3].map(() => expiry.moveExpiryCursor(900, from, next)));
      expect(moves.filter(Boolean)).toHaveLength(1);
      expect(await expiry.expiryCursor(900)).toEqual(next);
    });

    function headTo(revision: number): readonly string[] {
      const hash = `(SELECT hash FROM change_log WHERE revision = ${revision})`;
      return [`UPDATE store_head SET revision = ${revision}, hash = ${hash}`];
    }

    function newTenantOf(): TenantId {
      return sampleTenant().id;
    }
  });
}

const swap = (table: string, a: number, b: number) => [
  `UPDATE ${table} SET revision = -1 WHERE revision = ${a}`,
  `UPDATE ${table} SET revision = ${a} WHERE revision = ${b}`,
  `UPDATE ${table} SET revision = ${b} WHERE revision = -1`,
];
const cut = (after: number) => [
  `DELETE FROM change_log WHERE revision > ${after}`,
  `DELETE FROM audit_event WHERE revision > ${after}`,
];
/** What is done, by which statements, and what is found. */
const tamperings: readonly (readonly [name: string, statements: readonly string[], fault: string])[] = [
  [
    "a changed audit event",
    ["UPDATE audit_event SET address = '10.0.0.1' WHERE revision = 3"],
    "CHANGED: revision 3: its audit event was changed",
  ],
  [
    "details that were added",
    [`UPDATE audit_event SET details = '{"a":"b"}' WHERE revision = 3`],
    "CHANGED: revision 3: its audit event was changed",
  ],
  [
    "details that can't be read",
    ["UPDATE audit_event SET details = '{' WHERE revision = 3"],
    "CHANGED: revision 3: its audit event was changed",
  ],
  [
    "a changed change",
    ["UPDATE change_log SET payload = X'7b7d' WHERE revision = 2"],
    "CHANGED: revision 2: its change was changed",
  ],
  [
    "a changed digest",
    ["UPDATE change_log SET change_digest = X'00' WHERE revision = 2"],
    "CHANGED: revision 2: its change was changed",
  ],
  [
    "a changed hash",
    ["UPDATE change_log SET hash = X'00' WHERE revision = 4"],
    "CHANGED: revision 4: its entry was changed",
  ],
  [
    "a removed audit event",
    ["DELETE FROM audit_event WHERE revision = 5"],
    "REMOVED: revision 5: its audit event was removed",
  ],
  ["a removed change", ["DELETE FROM change_log WHERE revision = 5"], "REMOVED: revision 5: its change was removed"],
  [
    "a removed entry",
    ["DELETE FROM change_log WHERE revision = 5", "DELETE FROM audit_event WHERE revision = 5"],
    "REMOVED: revision 5: its entry was removed",
  ],
  [
    "entries that changed places",
    [...swap("change_log", 4, 7), ...swap("audit_event", 4, 7)],
    "REORDERED: revision 4: it changed places with revision 7",
  ],
  [
    "audit events that changed places",
    swap("audit_event", 4, 7),
    "REORDERED: revision 4: it changed places with revision 7",
  ],
  ["changes that changed places", swap("change_log", 8, 9), "REORDERED: revision 8: it changed places with revision 9"],
  ["a tail without entries", cut(7), "TAIL_CUT: revision 8: it and all that followed were cut off"],
  [
    "a tail that was cut with the head",
    [...cut(7), "UPDATE store_head SET revision = 7, hash = (SELECT hash FROM change_log WHERE revision = 7)"],
    "TAIL_CUT: revision 8: it and all that followed were cut off; checkpoint 1 tells of them",
  ],
  [
    "a head that was set back",
    [
      "UPDATE store_head SET revision = 7, hash = (SELECT hash FROM change_log WHERE revision = 7)",
      "DELETE FROM audit_checkpoint",
    ],
    "HEAD_CHANGED: revision 7: the head doesn't stand where the log ends",
  ],
  [
    "a changed head",
    ["UPDATE store_head SET hash = X'00'"],
    "HEAD_CHANGED: revision 10: the head doesn't stand where the log ends",
  ],
  [
    "a changed checkpoint",
    ["UPDATE audit_checkpoint SET revision = 9"],
    "CHECKPOINT_CHANGED: checkpoint 1 isn't one that was signed",
  ],
];
