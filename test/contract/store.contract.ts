import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Tail } from "../../services/changes/tail.ts";
import type { ApiKey } from "../../services/core/api-key.ts";
import { genesisHash } from "../../services/core/change-chain.ts";
import type { TenantId } from "../../services/core/ids.ts";
import { answerLifetimeMs, recordLifetimeMs } from "../../services/core/repeat-lifetimes.ts";
import type { Store } from "../../services/store/port.ts";
import { auditContract } from "./audit.contract.ts";
import { chainFaults } from "./chain.ts";
import { keyListsContract } from "./key-lists.contract.ts";
import { keySetContract } from "./key-set.contract.ts";
import {
  changed,
  fullKey,
  inserting,
  issued,
  newKeyId,
  sampleAudit,
  sampleKey,
  sampleTenant,
  sampleTimeMs,
  sampleVersion,
} from "./samples.ts";

/** A database of the adapter's kind. */
export interface TestStore {
  readonly store: Store;
  /** Asks the database itself, past the store; names of columns as in the models' `map`. */
  query(sql: string): Promise<readonly Record<string, unknown>[]>;
  /** Locks the head row from elsewhere; gives what lets it go. */
  lockHead(): Promise<() => Promise<void>>;
  /** Closes the store and removes the database. */
  remove(): Promise<void>;
}

/** Longest wait for a lock in the tests of that wait, in ms; in others the store's default. */
const impatientMs = 300;

/** Gives a store on a new database, migrated and empty. */
export type OpenTestStore = (options?: { readonly lockWaitMs?: number }) => Promise<TestStore>;

/** What every adapter of the storage port holds. */
export function storeContract(name: string, open: OpenTestStore): void {
  keyListsContract(name, open);
  describe(`store on ${name}`, () => {
    let test: TestStore;
    let store: Store;
    let tenantId: TenantId;

    beforeEach(async () => {
      test = await open();
      store = test.store;
    });
    afterEach(() => test.remove());

    /** Revision 1: the tenant that most tests act in. */
    async function makeTenant(): Promise<void> {
      const tenant = sampleTenant();
      tenantId = tenant.id;
      await store.mutate(async (tx) => {
        await tx.insertTenant(tenant);
        return {
          result: undefined,
          change: { kind: "tenant", tenantId, event: "created" },
          audit: sampleAudit(tenantId),
        };
      });
    }

    async function insertKey(key: ApiKey): Promise<bigint> {
      return (await store.mutate(inserting(key))).revision;
    }

    const filterRows = async (table: string) => (await test.query(`SELECT * FROM ${table}`)).length;

    keySetContract(open);
    auditContract(open);

    describe("the head", () => {
      it("begins at revision 0 with the genesis hash and an epoch of its own", async () => {
        const head = await store.head();
        expect(head.revision).toBe(0n);
        expect(bytes(head.hash)).toEqual(bytes(genesisHash));
        expect(head.storeEpoch).toMatch(/^[0-9a-f]{32}$/);
        const other = await open();
        expect((await other.store.head()).storeEpoch).not.toBe(head.storeEpoch);
        await other.remove();
      });

      it("within a transaction is the revision being made and the hash before it", async () => {
        await makeTenant();
        const before = await store.head();
        await store.mutate(async (tx, revision) => {
          const head = await tx.head();
          expect(head.revision).toBe(revision);
          expect(bytes(head.hash)).toEqual(bytes(before.hash));
          return changed(undefined, tenantId);
        });
      });
    });

    describe("tenants", () => {
      it("come back as they went in, by id and by slug, and only those", async () => {
        const tenant = sampleTenant({ slug: "acme", name: "Acme 🏭", state: "DISABLED" });
        await store.mutate(async (tx) => {
          await tx.insertTenant(tenant);
          expect(await tx.getTenant(tenant.id)).toEqual(tenant);
          return changed(undefined, tenant.id);
        });
        expect(await store.getTenant(tenant.id)).toEqual(tenant);
        expect(await store.getTenantBySlug("acme")).toEqual(tenant);
        expect(await store.getTenantBySlug("ACME")).toBeUndefined();
        expect(await store.getTenantBySlug("acme ")).toBeUndefined();
      });

      it("can be changed, except for what they are", async () => {
        await makeTenant();
        const before = await store.getTenant(tenantId);
        if (before === undefined) throw new Error("no tenant");
        const after = {
          ...before,
          name: "Other",
          state: "DISABLED" as const,
          settings: { ...before.settings, tokenTtlSeconds: 60 },
          updateTimeMs: 5,
        };
        await store.mutate(async (tx) => {
          await tx.updateTenant(after);
          return changed(undefined, tenantId);
        });
        expect(await store.getTenant(tenantId)).toEqual(after);
      });

      it("have a slug each; the store goes on after a second one was refused", async () => {
        await makeTenant();
        const doubled = store.mutate(async (tx) => {
          await tx.insertTenant(sampleTenant());
          return changed(undefined, tenantId);
        });
        await expect(doubled).rejects.toThrow();
        await expect(doubled).rejects.not.toMatchObject({ reason: "STORE_UNAVAILABLE" });
        expect(await insertKey(sampleKey(tenantId))).toBe(2n);
      });
    });

    describe("keys", () => {
      beforeEach(makeTenant);

      it.each([
        ["every field set", () => fullKey(tenantId)],
        ["the fewest fields", () => sampleKey(tenantId)],
      ])("come back as they went in with %s, inside and outside of the transaction", async (_name, make) => {
        const key = make();
        await store.mutate(async (tx) => {
          await tx.insertKey(key);
          expect(plain(await tx.getKey(key.id))).toEqual(plain(key));
          return changed(undefined, tenantId, key.id);
        });
        expect(plain(await store.getKey(key.id))).toEqual(plain(key));
        expect(await store.getKey(newKeyId())).toBeUndefined();
      });

      it("are seen from outside only once committed", async () => {
        const key = sampleKey(tenantId);
        await store.mutate(async (tx) => {
          await tx.insertKey(key);
          expect(await store.getKey(key.id)).toBeUndefined();
          expect((await store.head()).revision).toBe(1n);
          return changed(undefined, tenantId, key.id);
        });
        expect(await store.getKey(key.id)).toBeDefined();
      });

      it("change in every mutable field, and back", async () => {
        const fewest = sampleKey(tenantId, { labels: { env: "dev", gone: "x" }, scopes: ["a:b", "gone:c"] });
        const { id, kind, prefix, createTimeMs } = fewest;
        const most: ApiKey = { ...fullKey(tenantId), id, kind, prefix, createTimeMs };
        await insertKey(fewest);
        for (const key of [most, fewest]) {
          await store.mutate(async (tx) => {
            await tx.updateKey(key);
            return changed(undefined, tenantId, id);
          });
          expect(plain(await store.getKey(id))).toEqual(plain(key));
          expect(await filterRows("key_scope")).toBe(key.scopes.length);
          expect(await filterRows("key_label")).toBe(Object.keys(key.labels).length);
        }
      });

      it("gain, change and lose secret versions", async () => {
        const key = sampleKey(tenantId, { secretVersions: [sampleVersion(2), sampleVersion(1)] });
        await insertKey(key);
        const [second] = key.secretVersions;
        if (second === undefined) throw new Error("no version");
        const after = { ...key, secretVersions: [sampleVersion(3), { ...second, graceEndTimeMs: sampleTimeMs + 9 }] };
        await store.mutate(async (tx) => {
          await tx.updateKey(after);
          return changed(undefined, tenantId, key.id);
        });
        expect(plain(await store.getKey(key.id))).toEqual(plain(after));
      });

      it("go with everything that belongs to them", async () => {
        const [key, other] = [
          fullKey(tenantId),
          sampleKey(tenantId, { scopes: ["invoices:*"], labels: { env: "prod" } }),
        ];
        await store.mutate(inserting(key, other));
        await store.mutate(async (tx) => {
          await tx.deleteKeys([key]);
          return changed(undefined, tenantId, key.id);
        });
        expect(await store.getKey(key.id)).toBeUndefined();
        expect(await store.getKey(other.id)).toBeDefined();
        expect(await filterRows("secret_version")).toBe(1);
        expect(await filterRows("key_scope")).toBe(1);
        expect(await filterRows("key_label")).toBe(1);
      });

      it("can't be changed or deleted if there is none", async () => {
        const key = sampleKey(tenantId);
        await expect(store.mutate((tx) => tx.updateKey(key).then(() => changed(undefined, tenantId)))).rejects.toThrow(
          "no row",
        );
        await expect(
          store.mutate((tx) => tx.deleteKeys([key]).then(() => changed(undefined, tenantId))),
        ).rejects.toThrow("no row");
      });

      it("are deleted many at once, and nothing of others", async () => {
        const keys = Array.from({ length: 300 }, (_, i) =>
          sampleKey(tenantId, { scopes: ["a:b", "a:b", `own:${i}`], labels: { n: `${i}`, env: "test" } }),
        );
        const [survivor, ...gone] = keys as [ApiKey, ...ApiKey[]];
        await store.mutate(inserting(...keys));
        await store.mutate(async (tx) => {
          await tx.deleteKeys(gone);
          return changed(undefined, tenantId, ...gone.map(({ id }) => id));
        });
        expect(plain(await store.getKey(survivor.id))).toEqual(plain(survivor));
        expect(await store.countKeys(tenantId)).toBe(1);
        expect(await filterRows("api_key")).toBe(1);
        expect(await filterRows("secret_version")).toBe(1);
        expect(await filterRows("key_scope")).toBe(2);
        expect(await filterRows("key_label")).toBe(2);
      });

      it("are found dead by when they were revoked or expired, whichever was first", async () => {
        const revoked = (timeMs: number, more: Partial<ApiKey> = {}) =>
          sampleKey(tenantId, {
            state: "REVOKED",
            revocation: { reason: "UNSPECIFIED", comment: "", timeMs },
            ...more,
          });
        const [early, late, expired, both] = [
          revoked(100),
          revoked(300),
          sampleKey(tenantId, { expireTimeMs: 100, state: "DISABLED" }),
          revoked(300, { expireTimeMs: 200 }),
        ];
        const others = [sampleKey(tenantId), sampleKey(tenantId, { state: "DISABLED", expireTimeMs: 1_000 })];
        await store.mutate(inserting(early, late, expired, both, ...others));
        const dead = async (beforeMs: number, limit = 10) =>
          [...(await store.deadKeyIds(tenantId, beforeMs, limit))].sort();
        expect(await dead(99)).toEqual([]);
        expect(await dead(100)).toEqual([early.id, expired.id].sort());
        expect(await dead(200)).toEqual([early.id, expired.id, both.id].sort());
        expect(await dead(300)).toEqual([early.id, expired.id, both.id, late.id].sort());
        expect(await dead(300, 2)).toHaveLength(2);
        expect(await store.deadKeyIds(sampleTenant().id, 300, 10)).toEqual([]);
      });

      it("are inserted many at once", async () => {
        const keys = Array.from({ length: 1_100 }, (_, i) =>
          sampleKey(tenantId, { name: `key ${i}`, scopes: ["a:b", "a:c"], labels: { n: `${i}` } }),
        );
        await store.mutate(inserting(...keys));
        for (const key of [keys[0], keys[499], keys[500], keys[1_099]]) {
          expect(plain(await store.getKey(key?.id ?? newKeyId()))).toEqual(plain(key));
        }
        expect(await filterRows("api_key")).toBe(1_100);
        expect(await filterRows("key_scope")).toBe(2_200);
      });

      it("count as live root credentials if they are such", async () => {
        const root = sampleKey(tenantId, { scopes: ["a:b", "ichor:*"] });
        const lasting = sampleKey(tenantId, { scopes: ["ichor:*"], expireTimeMs: sampleTimeMs + 1 });
        const other = sampleTenant({ slug: "other" });
        await store.mutate(
          inserting(
            root,
            lasting,
            sampleKey(tenantId, { scopes: ["ichor:*"], expireTimeMs: sampleTimeMs }),
            sampleKey(tenantId, { scopes: ["ichor:*"], state: "DISABLED" }),
            sampleKey(tenantId, { scopes: ["ichor:*"], allowedCidrs: ["192.0.2.0/24"] }),
            sampleKey(tenantId, { scopes: ["ichor:*"], state: "REVOKED" }),
            sampleKey(tenantId, { scopes: ["*", "ichor:keys:read", "a:*"] }),
          ),
        );
        await store.mutate(async (tx) => {
          await tx.insertTenant(other);
          await tx.insertKey(sampleKey(other.id, { scopes: ["ichor:*"] }));
          const roots = await tx.liveRootKeyIds(sampleTimeMs);
          expect([...roots].sort()).toEqual([root.id, lasting.id].sort());
          return changed(undefined, other.id);
        });
        expect([...(await store.liveRootKeyIds(sampleTimeMs + 1))]).toEqual([root.id]);
        await store.mutate(async (tx) => {
          await tx.updateKey({ ...root, scopes: ["a:b"] });
          return changed(undefined, tenantId, root.id);
        });
        expect(await store.liveRootKeyIds(sampleTimeMs + 1)).toEqual([]);
      });

      it("need their tenant, and a digest of their own", async () => {
        const orphan = sampleKey(sampleTenant().id);
        await expect(store.mutate(inserting(orphan))).rejects.toThrow();
        const key = sampleKey(tenantId);
        await insertKey(key);
        await expect(
          store.mutate(inserting({ ...sampleKey(tenantId), secretVersions: key.secretVersions })),
        ).rejects.toThrow();
        expect((await store.head()).revision).toBe(2n);
      });
    });

    describe("digests of secrets", () => {
      beforeEach(makeTenant);

      it("find the keys of the tenant that have them, and no others", async () => {
        const other = sampleTenant({ slug: "other" });
        const [key, second] = [
          sampleKey(tenantId),
          sampleKey(tenantId, { secretVersions: [sampleVersion(2), sampleVersion(1)] }),
        ];
        await store.mutate(inserting(key, second));
        const digests = [key, second].flatMap(({ secretVersions }) => secretVersions.map(({ digest }) => digest));
        const asked = [...digests, sampleVersion(1).digest];
        const found = (rows: readonly { keyId: string; digest: Uint8Array }[]) =>
          rows.map(({ keyId, digest }) => `${keyId} ${bytes(digest)}`).sort();
        const expected = found([
          ...key.secretVersions.map(({ digest }) => ({ keyId: key.id, digest })),
          ...second.secretVersions.map(({ digest }) => ({ keyId: second.id, digest })),
        ]);
        expect(found(await store.keysOfDigests(tenantId, asked))).toEqual(expected);
        expect(await store.keysOfDigests(other.id, asked)).toEqual([]);
        expect(await store.keysOfDigests(tenantId, [])).toEqual([]);
        await store.mutate(async (tx) => {
          expect(found(await tx.keysOfDigests(tenantId, asked))).toEqual(expected);
          return { result: undefined, unchanged: true };
        });
      });

      it("stay as tombstones until they are removed", async () => {
        const key = sampleKey(tenantId, { kind: "IMPORTED_KEY", prefix: "" });
        const digests = key.secretVersions.map(({ digest }) => digest);
        const tombstones = async (of = tenantId) => (await store.importTombstones(of, digests)).map(bytes);
        await insertKey(key);
        expect(await tombstones()).toEqual([]);
        await store.mutate(async (tx) => {
          await tx.insertImportTombstones([key], sampleTimeMs);
          await tx.deleteKeys([key]);
          return changed(undefined, tenantId, key.id);
        });
        expect(await tombstones()).toEqual(digests.map(bytes));
        expect(await tombstones(sampleTenant().id)).toEqual([]);
        await store.mutate(async (tx) => {
          await tx.deleteImportTombstones(tenantId, digests);
          return changed(undefined, tenantId, key.id);
        });
        expect(await tombstones()).toEqual([]);
      });
    });

    it("counts the keys of a tenant and of an owner, up to a bound", async () => {
      await makeTenant();
      const keys = Array.from({ length: 5 }, (_, i) => sampleKey(tenantId, { ownerId: i < 3 ? "acme" : "ACME" }));
      await store.mutate(inserting(...keys));
      expect(await store.countKeys(tenantId)).toBe(5);
      expect(await store.countKeysOfOwner(tenantId, "acme", 10)).toBe(3);
      expect(await store.countKeysOfOwner(tenantId, "acme", 2)).toBe(2);
      expect(await store.countKeysOfOwner(tenantId, "acme ", 10)).toBe(0);
      await store.mutate(async (tx) => {
        await tx.deleteKeys(keys.slice(0, 1));
        expect(await tx.countKeys(tenantId)).toBe(4);
        return changed(undefined, tenantId);
      });
      expect(await store.countKeys(tenantId)).toBe(4);
      expect(await store.countKeysOfOwner(tenantId, "acme", 10)).toBe(2);
    });

    describe("use", () => {
      beforeEach(makeTenant);

      it("adds up by key and by secret, and is no change of the log or of the key", async () => {
        const keys = Array.from({ length: 120 }, () =>
          sampleKey(tenantId, {
            secretVersions: [sampleVersion(2), sampleVersion(1, { graceEndTimeMs: sampleTimeMs })],
          }),
        );
        await store.mutate(inserting(...keys));
        const useOf = (i: number, timeMs: number, address: string) => ({
          keyId: keys[i]?.id ?? newKeyId(),
          count: i + 3,
          lastTimeMs: timeMs,
          lastAddress: address,
          versions: [
            { number: 2, count: i + 1, lastTimeMs: timeMs },
            { number: 1, count: 2, lastTimeMs: timeMs - 1 },
          ],
        });
        const uses = (timeMs: number, address: string) => keys.map((_, i) => useOf(i, timeMs, address));
        await store.addUse(uses(sampleTimeMs + 10, "192.0.2.1"));
        // One that was written late, of a time before, and a key that is gone.
        await store.addUse([...uses(sampleTimeMs + 5, "2001:db8::1"), { ...useOf(0, 1, ""), keyId: newKeyId() }]);
        for (const i of [0, 49, 50, 119]) {
          const key = await store.getKey(keys[i]?.id ?? newKeyId());
          expect(key?.use).toEqual({ count: 2 * (i + 3), lastTimeMs: sampleTimeMs + 10, lastAddress: "192.0.2.1" });
          expect(key?.secretVersions.map(({ use }) => use)).toEqual([
            { count: 2 * (i + 1), lastTimeMs: sampleTimeMs + 10 },
            { count: 4, lastTimeMs: sampleTimeMs + 9 },
          ]);
        }
        expect((await store.head()).revision).toBe(2n);
      });

      it("outlives a change of the key, and stands in lists", async () => {
        const key = sampleKey(tenantId);
        await insertKey(key);
        const use = { keyId: key.id, count: 1, lastTimeMs: 7, lastAddress: "", versions: [] };
        await store.addUse([use]);
        await store.mutate(async (tx) => {
          await tx.updateKey({ ...key, name: "other" });
          return changed(undefined, tenantId, key.id);
        });
        const expected = { count: 1, lastTimeMs: 7, lastAddress: "" };
        expect((await store.getKey(key.id))?.use).toEqual(expected);
        expect((await store.getKeys([key.id]))[0]?.use).toEqual(expected);
      });
    });

    /** Seals of peppers, so that secrets can be bound to them. */
    const insertPeppers = (...ids: string[]) =>
      store.mutate(async (tx) => {
        for (const id of ids) {
          const sealed = new Uint8Array([1]);
          await tx.insertSealedSecret({ id, purpose: "pepper", masterKeyId: "0011", sealed, createTimeMs: 1 });
        }
        return changed(undefined, tenantId);
      });

    describe("rebinding a secret", () => {
      beforeEach(makeTenant);

      it("needs the pepper that it is bound to", async () => {
        const key = sampleKey(tenantId);
        await insertKey(key);
        expect(await store.hasSealedSecret("pep_2")).toBe(false);
        expect(await store.rebindSecret(key.id, 1, "pep_1", "pep_2", sampleVersion(1).digest)).toBe(false);
        expect(plain(await store.getKey(key.id))).toEqual(plain(key));
        await insertPeppers("pep_2");
        expect(await store.hasSealedSecret("pep_2")).toBe(true);
        expect(await store.rebindSecret(key.id, 1, "pep_1", "pep_2", sampleVersion(1).digest)).toBe(true);
      });

      it("and the pepper's end exclude each other, whoever is first", async () => {
        const keys = Array.from({ length: 12 }, () => sampleKey(tenantId));
        await store.mutate(inserting(...keys));
        const ids = keys.map((_, i) => `pep_to_${i}`);
        await insertPeppers(...ids);
        const outcomes = await Promise.all(
          keys.flatMap((key, i) => {
            const pepperId = ids[i] as string;
            const ending = store.mutate<boolean>(async (tx) => {
              await tx.deleteSealedSecret(pepperId);
              if (await tx.isPepperBound(pepperId)) return { result: false, unchanged: true };
              return changed(true, tenantId, key.id);
            });
            return [ending, store.rebindSecret(key.id, 1, "pep_1", pepperId, sampleVersion(1).digest)];
          }),
        );
        for (const [i, key] of keys.entries()) {
          const bound = (await store.getKey(key.id))?.secretVersions[0]?.pepperId === ids[i];
          expect(await store.hasSealedSecret(ids[i] as string)).toBe(bound);
        }
        expect(outcomes).toHaveLength(24);
      });

      it("happens if it is still bound as believed, and is no change of the log", async () => {
        const key = sampleKey(tenantId);
        await insertKey(key);
        await insertPeppers("pep_2");
        const { revision } = await store.head();
        const digest = sampleVersion(1).digest;
        expect(await store.rebindSecret(key.id, 1, "pep_0", "pep_2", digest)).toBe(false);
        expect(await store.rebindSecret(key.id, 9, "pep_1", "pep_2", digest)).toBe(false);
        expect(await store.rebindSecret(key.id, 1, "pep_1", "pep_2", digest)).toBe(true);
        expect(await store.rebindSecret(key.id, 1, "pep_1", "pep_2", digest)).toBe(false);
        const [version] = (await store.getKey(key.id))?.secretVersions ?? [];
        expect(version?.pepperId).toBe("pep_2");
        expect(bytes(version?.digest)).toEqual(bytes(digest));
        expect((await store.head()).revision).toBe(revision);
      });

      it("is won by one of several", async () => {
        const key = sampleKey(tenantId);
        await insertKey(key);
        await insertPeppers(...Array.from({ length: 8 }, (_, i) => `pep_${i + 2}`));
        const tries = Array.from({ length: 8 }, (_, i) =>
          store.rebindSecret(key.id, 1, "pep_1", `pep_${i + 2}`, sampleVersion(1).digest),
        );
        expect((await Promise.all(tries)).filter(Boolean)).toHaveLength(1);
      });
    });

    it("counts what is bound to which pepper and sealed under which master key", async () => {
      await makeTenant();
      await insertPeppers("pep_1", "pep_2");
      const nowMs = sampleTimeMs;
      const [old, past] = [{ pepperId: "pep_1" }, { pepperId: "pep_1", graceEndTimeMs: nowMs }];
      const imported = sampleKey(tenantId, { kind: "IMPORTED_KEY", state: "REVOKED" });
      await store.mutate(
        inserting(
          sampleKey(tenantId, { secretVersions: [sampleVersion(2, { pepperId: "pep_2" }), sampleVersion(1, past)] }),
          sampleKey(tenantId, { state: "DISABLED", secretVersions: [sampleVersion(1, old)] }),
          sampleKey(tenantId, { expireTimeMs: nowMs }),
          sampleKey(tenantId, { expireTimeMs: nowMs + 1 }),
          imported,
        ),
      );
      await store.mutate(async (tx) => {
        await tx.insertImportTombstones([imported], nowMs);
        await tx.deleteKeys([imported]);
        return changed(undefined, tenantId, imported.id);
      });
      expect(await store.secretUse(nowMs)).toEqual({
        peppers: [
          { pepperId: "pep_1", live: 2, dead: 2, tombstones: 1 },
          { pepperId: "pep_2", live: 1, dead: 0, tombstones: 0 },
        ],
        masterKeys: [{ masterKeyId: "0011", secrets: 2 }],
      });
      expect(await store.isPepperBound("pep_2")).toBe(true);
      expect(await store.isPepperBound("pep_3")).toBe(false);
    });

    it("keeps sealed secrets and lists them by purpose", async () => {
      await makeTenant();
      const [pepper, master] = [
        { id: "b", purpose: "pepper", masterKeyId: "0011", sealed: new Uint8Array([0, 255, 1]), createTimeMs: 1 },
        {
          id: "a",
          tenantId,
          purpose: "macaroon_master",
          masterKeyId: "0011",
          sealed: new Uint8Array(200),
          createTimeMs: 2,
        },
      ];
      await store.mutate(async (tx) => {
        await tx.insertSealedSecret(pepper);
        await tx.insertSealedSecret(master);
        await tx.insertSealedSecret({ ...pepper, id: "a2" });
        expect(await tx.listSealedSecrets("macaroon_master")).toHaveLength(1);
        return { result: undefined, change: { kind: "secret", event: "pepper_added" }, audit: sampleAudit(tenantId) };
      });
      expect((await store.listSealedSecrets("pepper")).map(plain)).toEqual(
        [{ ...pepper, id: "a2" }, pepper].map(plain),
      );
      expect((await store.listSealedSecrets("macaroon_master")).map(plain)).toEqual([plain(master)]);
    });

    describe("idempotency records", () => {
      beforeEach(makeTenant);

      const recordOf = (requestId: string, keyId = newKeyId()) => ({
        tenantId,
        callerKeyId: keyId,
        method: "IssueApiKey",
        requestId,
        fingerprint: new Uint8Array(32).fill(3),
        keyId,
        revision: 2n,
        createTimeMs: sampleTimeMs,
        sealedAnswer: new Uint8Array([1, 2, 3]),
      });
      const put = (record: ReturnType<typeof recordOf>) =>
        store.mutate(async (tx) => {
          await tx.insertIdempotencyRecord(record);
          expect(plain(await tx.getIdempotencyRecord(record))).toEqual(plain(record));
          return changed(undefined, tenantId, record.keyId);
        });

      it("belong to tenant, caller, method and request id", async () => {
        const record = recordOf("r1");
        await put(record);
        expect(plain(await store.getIdempotencyRecord(record))).toEqual(plain(record));
        expect(await store.getIdempotencyRecord({ ...record, requestId: "R1" })).toBeUndefined();
        expect(await store.getIdempotencyRecord({ ...record, method: "RotateApiKey" })).toBeUndefined();
        expect(await store.getIdempotencyRecord({ ...record, callerKeyId: newKeyId() })).toBeUndefined();
      });

      it("take the place of an older one", async () => {
        const record = recordOf("r1");
        await put(record);
        await put({ ...record, revision: 3n, createTimeMs: sampleTimeMs + 1 });
        expect((await store.getIdempotencyRecord(record))?.revision).toBe(3n);
      });

      it("lose their answer when it is erased, and only those about that key", async () => {
        const [dead, live] = [recordOf("r1"), recordOf("r2")];
        await put(dead);
        await put(live);
        await store.mutate(async (tx) => {
          await tx.eraseIdempotentAnswers(dead.keyId);
          return changed(undefined, tenantId, dead.keyId);
        });
        expect(await store.getIdempotencyRecord(dead)).not.toHaveProperty("sealedAnswer");
        expect(await store.getIdempotencyRecord(live)).toHaveProperty("sealedAnswer");
      });

      it("lose their answer after an hour and go after a day, in steps, without a revision", async () => {
        const [erased, ...kept] = [1, 2, 3, 4, 5].map((i) => ({
          ...recordOf(`r${i}`),
          createTimeMs: sampleTimeMs + i,
        }));
        if (erased === undefined) throw new Error("no record");
        for (const record of [erased, ...kept]) await put(record);
        await store.mutate(async (tx) => {
          await tx.eraseIdempotentAnswers(erased.keyId);
          return changed(undefined, tenantId, erased.keyId);
        });
        const { revision } = await store.head();
        const records = () => Promise.all([erased, ...kept].map((record) => store.getIdempotencyRecord(record)));
        const state = async () =>
          (await records()).map((record) => (record === undefined ? "-" : record.sealedAnswer ? "answer" : "record"));
        const drain = async (nowMs: number) => {
          const steps: number[] = [];
          do steps.push(await store.tendIdempotencyRecords(nowMs, 2));
          while (steps.at(-1) !== 0);
          return steps;
        };
        expect(await drain(sampleTimeMs + answerLifetimeMs + 1)).toEqual([0]);
        expect(await drain(sampleTimeMs + answerLifetimeMs + 4)).toEqual([2, 1, 0]);
        expect(await state()).toEqual(["record", "record", "record", "record", "answer"]);
        expect(await store.countIdempotencyRecords(sampleTimeMs + 2, sampleTimeMs + 5)).toBe(3);
        expect(await drain(sampleTimeMs + recordLifetimeMs + 3)).toEqual([2, 2, 0]);
        expect(await state()).toEqual(["-", "-", "-", "record", "record"]);
        expect(await drain(sampleTimeMs + recordLifetimeMs + 5)).toEqual([2, 0]);
        expect(await state()).toEqual(["-", "-", "-", "-", "-"]);
        expect((await store.head()).revision).toBe(revision);
      });
    });

    describe("the log", () => {
      beforeEach(makeTenant);

      it("has one entry per transaction, in order, in pages", async () => {
        const keys = Array.from({ length: 5 }, () => sampleKey(tenantId));
        for (const key of keys) await insertKey(key);
        const rows = await store.changesAfter(0n, 100);
        expect(rows.map(({ revision }) => revision)).toEqual([1n, 2n, 3n, 4n, 5n, 6n]);
        expect(rows.slice(1).map(({ change }) => change)).toEqual(keys.map(({ id }) => issued(tenantId, id)));
        expect((await store.changesAfter(2n, 2)).map(({ revision }) => revision)).toEqual([3n, 4n]);
        expect(await store.changesAfter(6n, 10)).toEqual([]);
        expect(bytes(rows.at(-1)?.hash)).toEqual(bytes((await store.head()).hash));
        await store.mutate(async (tx) => {
          expect(await tx.changesAfter(5n, 10)).toHaveLength(1);
          return { result: undefined, unchanged: true };
        });
      });

      it("leaves out entries whose payload was compacted", async () => {
        for (let i = 0; i < 3; i++) await insertKey(sampleKey(tenantId));
        await test.query("UPDATE change_log SET payload = NULL WHERE revision <= 2");
        expect((await store.changesAfter(0n, 10)).map(({ revision }) => revision)).toEqual([3n, 4n]);
        expect(await chainFaults(test)).toEqual([]);
      });

      it("is a chain over changes and audit events that can be computed again", async () => {
        for (let i = 0; i < 4; i++) await insertKey(sampleKey(tenantId));
        const digests = { beforeDigest: new Uint8Array(32).fill(1), afterDigest: new Uint8Array(32).fill(2) };
        const caller = { keyId: newKeyId(), tenantId };
        const audit = sampleAudit(tenantId, { ...digests, caller, address: "2001:db8::1", requestId: "r" });
        await store.mutate(async () => ({ result: undefined, change: issued(tenantId), audit }));
        expect(await chainFaults(test)).toEqual([]);
      });

      it.each([
        ["a changed change", "UPDATE change_log SET payload = X'7b7d' WHERE revision = 2", [2n]],
        ["a changed audit event", "UPDATE audit_event SET address = '10.0.0.1' WHERE revision = 3", [3n]],
        ["a missing audit event", "DELETE FROM audit_event WHERE revision = 3", [3n]],
        ["a missing entry", "DELETE FROM change_log WHERE revision = 2", [2n, 3n]],
      ])("shows %s", async (_name, sql, revisions) => {
        for (let i = 0; i < 3; i++) await insertKey(sampleKey(tenantId));
        await test.query(sql);
        expect(await chainFaults(test)).toEqual(revisions);
      });

      it("tells each commit of this process once, after it", async () => {
        const heard: bigint[] = [];
        store.onCommit(() => {
          throw new Error("a listener of no account");
        });
        store.onCommit((revision) => heard.push(revision));
        await insertKey(sampleKey(tenantId));
        await store.mutate(async () => ({ result: undefined, unchanged: true }));
        await store.mutate(() => Promise.reject(new Error("no"))).catch(() => {});
        await insertKey(sampleKey(tenantId));
        expect(heard).toEqual([2n, 3n]);
      });
    });

    it("is seen to be another history when yesterday's state takes its place, and is followed from there", async () => {
      await makeTenant();
      for (let i = 0; i < 2; i++) await insertKey(sampleKey(tenantId));
      const told: string[] = [];
      const log = { info() {}, warn() {}, error() {} };
      // Looks when it is woken only: the change below comes before the look that would see the fork.
      const tail = new Tail({ store, clock: { now: Date.now }, log, schedule: () => () => {} });
      tail.subscribe((event) => told.push(event.kind === "reset" ? event.reason : `change ${event.row.revision}`));
      await tail.start();
      // What a fail-over to a standby that was behind, or a restored backup, leaves; and what is then done on it.
      for (const table of ["change_log", "audit_event"]) await test.query(`DELETE FROM ${table} WHERE revision = 3`);
      await test.query(
        "UPDATE store_head SET revision = 2, hash = (SELECT hash FROM change_log WHERE revision = 2) WHERE id = 'head'",
      );
      // No change is answered whose revision is one that was followed already: what is cached here is of another history.
      await expect(insertKey(sampleKey(tenantId))).rejects.toMatchObject({ reason: "STORE_UNAVAILABLE" });
      while (told.length === 0) await store.head();
      for (let i = 0; i < 3; i++) await insertKey(sampleKey(tenantId));
      await tail.stop();
      expect(told).toEqual(["fork", "change 3", "change 4", "change 5"]);
      expect(await chainFaults(test)).toEqual([]);
    });

    describe("a mutating transaction", () => {
      beforeEach(makeTenant);

      it("that changed nothing takes no revision and leaves nothing", async () => {
        const key = sampleKey(tenantId);
        const committed = await store.mutate(async (tx, revision) => {
          expect(revision).toBe(2n);
          await tx.insertKey(key);
          return { result: "seen", unchanged: true };
        });
        expect(committed).toEqual({ result: "seen", revision: 1n });
        expect(await store.getKey(key.id)).toBeUndefined();
        expect(await insertKey(key)).toBe(2n);
      });

      it("that throws leaves nothing and throws the same on", async () => {
        const [key, fault] = [sampleKey(tenantId), new Error("no")];
        const failed = store.mutate(async (tx) => {
          await tx.insertKey(key);
          throw fault;
        });
        await expect(failed).rejects.toBe(fault);
        expect(await store.getKey(key.id)).toBeUndefined();
        expect(await insertKey(key)).toBe(2n);
      });

      it("sees what those before it did, and only one runs at a time", async () => {
        const count = 40;
        let running = 0;
        const mutations = Array.from({ length: count }, () =>
          store.mutate(async (tx, revision) => {
            expect(++running).toBe(1);
            const tenant = await tx.getTenant(tenantId);
            if (tenant === undefined) throw new Error("no tenant");
            const next = Number(tenant.name === "Default" ? 0 : tenant.name) + 1;
            await tx.updateTenant({ ...tenant, name: String(next) });
            running--;
            return changed(revision, tenantId);
          }),
        );
        const committed = await Promise.all(mutations);
        // Databases may let a later one of several that wait go first.
        expect(committed.map(({ revision }) => Number(revision)).sort((a, b) => a - b)).toEqual(
          Array.from({ length: count }, (_, i) => i + 2),
        );
        expect((await store.getTenant(tenantId))?.name).toBe(String(count));
        expect(await chainFaults(test)).toEqual([]);
      });

      it("that can't get the lock is refused in time, doesn't hinder reads, and works after", async () => {
        const impatient = await open({ lockWaitMs: impatientMs });
        const work = () => impatient.store.mutate(async () => changed(undefined, tenantId));
        const unlock = await impatient.lockHead();
        const begunMs = performance.now();
        await expect(work()).rejects.toMatchObject({ reason: "STORE_UNAVAILABLE", retryAfterMs: expect.any(Number) });
        expect(performance.now() - begunMs).toBeGreaterThanOrEqual(impatientMs - 10);
        expect(performance.now() - begunMs).toBeLessThan(impatientMs * 10);
        expect((await impatient.store.head()).revision).toBe(0n);
        expect(await impatient.store.getTenantBySlug("default")).toBeUndefined();
        await unlock();
        expect((await work()).revision).toBe(1n);
        await impatient.remove();
      });

      it("waits for a lock without stopping the event loop", async () => {
        const unlock = await test.lockHead();
        const waiting = insertKey(sampleKey(tenantId));
        // Were the loop stopped while waiting, the lock would never be let go.
        for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
        await unlock();
        expect(await waiting).toBe(2n);
      });
    });

    it("gives other work its turn between transactions", async () => {
      await makeTenant();
      let turns = 0;
      let on = true;
      const turn = () => {
        turns++;
        if (on) setImmediate(turn);
      };
      setImmediate(turn);
      for (let i = 0; i < 20; i++) await insertKey(sampleKey(tenantId));
      on = false;
      expect(turns).toBeGreaterThanOrEqual(20);
    });

    it("has no answers once it is closed", async () => {
      await makeTenant();
      await store.close();
      for (const ask of [
        () => store.head(),
        () => store.getKey(newKeyId()),
        () => store.getTenantBySlug("default"),
        () => store.mutate(async () => ({ result: undefined, unchanged: true })),
      ]) {
        await expect(ask()).rejects.toMatchObject({ reason: "STORE_UNAVAILABLE" });
      }
    });
  });
}

function bytes(value: Uint8Array | undefined): string {
  return Buffer.from(value ?? []).toString("hex");
}

/** The same with bytes as hex: drivers differ in the class that they give. */
function plain(value: unknown): unknown {
  if (value instanceof Uint8Array) return `0x${bytes(value)}`;
  if (Array.isArray(value)) return value.map(plain);
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, plain(inner)]));
}
