import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { renewEpochAction, renewStoreEpoch } from "../../services/changes/renew-store-epoch.ts";
import type { KeyEvent } from "../../services/core/change.ts";
import { type Id, type IdPrefix, idFromBytes, type KeyId, type TenantId } from "../../services/core/ids.ts";
import { markNumber, readMark } from "../../services/core/key-set/key-mark.ts";
import { tokenMemoryMs } from "../../services/core/signing-key.ts";
import type { KeySetRecord } from "../../services/store/key-set-port.ts";
import type { Store } from "../../services/store/port.ts";
import { seededRandom } from "../fakes/random.ts";
import { inserting, newKeyId, newTenantId, newTokenId, sampleAudit, sampleKey, sampleTenant } from "./samples.ts";
import type { OpenTestStore, TestStore } from "./store.contract.ts";

/** What every adapter holds of what key sets are made of: marks, epochs, compaction. */
export function keySetContract(open: OpenTestStore): void {
  describe("what key sets are made of", () => {
    let test: TestStore;
    let store: Store;
    let tenantId: TenantId;

    beforeEach(async () => {
      test = await open();
      store = test.store;
      const tenant = sampleTenant();
      tenantId = tenant.id;
      await store.mutate(async (tx) => {
        await tx.insertTenant(tenant);
        const change = { kind: "tenant", tenantId, event: "created" } as const;
        return { result: undefined, change, audit: sampleAudit(tenantId) };
      });
    });
    afterEach(() => test.remove());

    const tell = (event: KeyEvent, keyIds: readonly KeyId[], tokenEpoch?: number) =>
      store.mutate(async () => ({
        result: undefined,
        change: { kind: "key", tenantId, event, keyIds, ...(tokenEpoch !== undefined && { tokenEpoch }) },
        audit: sampleAudit(tenantId),
      }));

    async function marks(): Promise<Readonly<Record<string, unknown>>> {
      const record = await store.loadKeySet(tenantId);
      const ids = unpacked("key", record?.markedKeys ?? new Uint8Array());
      return Object.fromEntries((record?.marks ?? []).map((mark, i) => [ids[i], readMark(mark)]));
    }

    const lastCommitMs = async () => {
      const { revision } = await store.head();
      return (await store.changesAfter(revision - 1n, 1))[0]?.commitTimeMs ?? 0;
    };

    it("is loaded with the head that it is as of", async () => {
      const key = sampleKey(tenantId);
      await store.mutate(inserting(key));
      await tell("revoked", [key.id]);
      const record = await store.loadKeySet(tenantId);
      const { revision, storeEpoch, hash } = await store.head();
      expect(record?.head).toMatchObject({ revision, storeEpoch });
      expect(Buffer.from(record?.head.hash ?? []).equals(hash)).toBe(true);
      expect(record?.tenant.id).toBe(tenantId);
      expect(record?.marks).toEqual([markNumber({ status: "REVOKED", tokenEpoch: 0 })]);
      expect(await store.loadKeySet(newTenantId())).toBeUndefined();
    });

    it("is read page by page as of one moment, whatever is committed meanwhile", async () => {
      const keyIds = Array.from({ length: 1_050 }, newKeyId).sort();
      const [first, last] = [keyIds[0] as KeyId, keyIds.at(-1) as KeyId];
      const tokenIds = Array.from({ length: 1_050 }, newTokenId);
      await store.mutate(async (tx) => {
        for (const [i, tokenId] of tokenIds.entries()) {
          await tx.tokens.insertTokenRevocation(tenantId, {
            keyId: i % 3 === 0 ? first : last,
            tokenId,
            forgetTimeMs: 1,
          });
        }
        const change = { kind: "tenant", tenantId, event: "changed" } as const;
        return { result: undefined, change, audit: sampleAudit(tenantId) };
      });
      await tell("disabled", keyIds);
      const { revision: base } = await store.head();
      let loading = true;
      // The first and the last key, which are in different pages, lose their mark and get it again, together.
      const flipping = (async () => {
        for (let round = 0; loading; round++) await tell(round % 2 === 0 ? "enabled" : "disabled", [first, last]);
      })();
      for (let round = 0; round < 5; round++) {
        const record = (await store.loadKeySet(tenantId)) as KeySetRecord;
        const marked = unpacked("key", record.markedKeys);
        const disabled = (record.head.revision - base) % 2n === 0n;
        expect([marked.includes(first), marked.includes(last)]).toEqual([disabled, disabled]);
        expect(marked).toHaveLength(disabled ? 1_050 : 1_048);
        expect([...unpacked("tok", record.revokedTokens)].sort()).toEqual([...tokenIds].sort());
      }
      loading = false;
      await flipping;
    });

    it("keeps marks in the transaction of the change, for many keys at once, and past the keys' deletion", async () => {
      const keys = Array.from({ length: 1_200 }, () => sampleKey(tenantId));
      await store.mutate(inserting(...keys));
      await tell(
        "revoked",
        keys.map(({ id }) => id),
      );
      expect(Object.keys(await marks())).toHaveLength(1_200);
      const [gone] = keys;
      await store.mutate(async (tx) => {
        await tx.deleteKeys(keys.slice(0, 1));
        const change = { kind: "key", tenantId, event: "deleted", keyIds: [gone?.id as KeyId] } as const;
        return { result: undefined, change, audit: sampleAudit(tenantId) };
      });
      expect(await marks()).toHaveProperty(gone?.id as KeyId, { status: "REVOKED", tokenEpoch: 0 });
    });

    it("follows disabling, enabling and raised epochs", async () => {
      const keyId = newKeyId();
      await tell("disabled", [keyId]);
      expect(await marks()).toEqual({ [keyId]: { status: "DISABLED", tokenEpoch: 0 } });
      await tell("changed", [keyId], 4);
      expect(await marks()).toEqual({ [keyId]: { status: "DISABLED", tokenEpoch: 4 } });
      await tell("enabled", [keyId]);
      expect(await marks()).toEqual({ [keyId]: { status: "LIVE", tokenEpoch: 4 } });
      await tell("changed", [keyId]);
      expect(await marks()).toEqual({ [keyId]: { status: "LIVE", tokenEpoch: 4 } });
    });

    it("leaves no mark of a change that is rolled back", async () => {
      const failed = store.mutate(async () => {
        throw new TypeError("no");
      });
      await expect(failed).rejects.toThrow(TypeError);
      await store.mutate(async () => ({ result: undefined, unchanged: true }));
      expect(await marks()).toEqual({});
    });

    it("says which marks may go: revocations and epochs after their time, never suspensions", async () => {
      const [revoked, disabled, raised] = [newKeyId(), newKeyId(), newKeyId()];
      await tell("revoked", [revoked]);
      const firstMs = (await lastCommitMs()) + tokenMemoryMs;
      await tell("tokens_revoked", [raised], 1);
      await tell("disabled", [disabled]);
      await tell("changed", [disabled], 1);
      const lastMs = (await lastCommitMs()) + tokenMemoryMs;
      expect(await store.forgettableMarks(firstMs - 1, 10)).toEqual([]);
      expect(await store.forgettableMarks(lastMs, 1)).toHaveLength(1);
      const due = (await store.forgettableMarks(lastMs, 10)).map(({ keyId }) => keyId);
      expect(due.sort()).toEqual([revoked, raised].sort());
      await tell("forgotten", [revoked, disabled]);
      expect(Object.keys(await marks()).sort()).toEqual([disabled, raised].sort());
    });

    it("tells of the tenant: its state, the end of its tokens", async () => {
      await store.mutate(async (tx) => {
        const tenant = await tx.getTenant(tenantId);
        if (tenant === undefined) throw new Error("gone");
        await tx.updateTenant({ ...tenant, state: "DISABLED", tokensIssuedBeforeMs: 12_345 });
        const change = { kind: "tenant", tenantId, event: "disabled" } as const;
        return { result: undefined, change, audit: sampleAudit(tenantId) };
      });
      expect((await store.loadKeySet(tenantId))?.tenant).toMatchObject({
        state: "DISABLED",
        tokensIssuedBeforeMs: 12_345,
      });
    });

    describe("compaction", () => {
      const far = Number.MAX_SAFE_INTEGER;

      it("erases a prefix, never the newest entry, and notes up to where", async () => {
        for (let i = 0; i < 5; i++) await tell("changed", [newKeyId()]);
        const { revision } = await store.head();
        expect(revision).toBe(6n);
        expect(await store.compactChanges(far, 2)).toBe(2);
        expect(await store.compactedThrough()).toBe(2n);
        expect((await store.changesAfter(0n, 10)).map((row) => row.revision)).toEqual([3n, 4n, 5n, 6n]);
        expect(await store.compactChanges(far, 100)).toBe(3);
        expect(await store.compactChanges(far, 100)).toBe(0);
        expect((await store.changesAfter(0n, 10)).map((row) => row.revision)).toEqual([6n]);
      });

      it("stops at the first entry that is too young, and takes no revision", async () => {
        await tell("changed", [newKeyId()]);
        const before = await store.head();
        expect(await store.compactChanges((await lastCommitMs()) - 3_600_000, 100)).toBe(0);
        expect(await store.compactedThrough()).toBe(0n);
        expect(await store.head()).toEqual(before);
      });

      it("is done by one of those who do it at once", async () => {
        for (let i = 0; i < 10; i++) await tell("changed", [newKeyId()]);
        const counts = await Promise.all([1, 2, 3].map(() => store.compactChanges(far, 5)));
        expect(await store.compactedThrough()).toBe(BigInt(counts.reduce((a, b) => a + b, 0)));
      });
    });

    describe("a new epoch", () => {
      const renew = (from: string, nowMs: number, seed = "epoch") =>
        renewStoreEpoch({ store, now: () => nowMs, random: seededRandom(seed) }, from);

      it("ends all derived tokens of every tenant, and goes on in the same chain", async () => {
        const other = sampleTenant({ slug: "other" });
        await store.mutate(async (tx) => {
          await tx.insertTenant({ ...other, tokensIssuedBeforeMs: 99_000 });
          const change = { kind: "tenant", tenantId: other.id, event: "created" } as const;
          return { result: undefined, change, audit: sampleAudit(other.id) };
        });
        const before = await store.head();
        const epoch = await renew(before.storeEpoch, 50_000);
        const after = await store.head();
        expect(after.storeEpoch).toBe(epoch);
        expect(after.storeEpoch).not.toBe(before.storeEpoch);
        expect(after.revision).toBe(before.revision + 1n);
        expect((await store.getTenant(tenantId))?.tokensIssuedBeforeMs).toBe(50_000);
        expect((await store.getTenant(other.id))?.tokensIssuedBeforeMs).toBe(99_000);
        const actions = await test.query("SELECT action FROM audit_event ORDER BY revision");
        expect(actions.at(-1)?.action).toBe(renewEpochAction);
      });

      it("is made once by those who see the same fork", async () => {
        const { storeEpoch, revision } = await store.head();
        const made = await Promise.all(["a", "b", "c"].map((seed) => renew(storeEpoch, 1, seed)));
        expect(made.filter((epoch) => epoch !== undefined)).toHaveLength(1);
        expect((await store.head()).revision).toBe(revision + 1n);
      });
    });
  });
}

function unpacked<P extends IdPrefix>(prefix: P, packed: Uint8Array): readonly Id<P>[] {
  return Array.from({ length: packed.length / 16 }, (_, i) =>
    idFromBytes(prefix, packed.subarray(i * 16, i * 16 + 16)),
  );
}
