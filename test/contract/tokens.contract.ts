import { randomBytes } from "node:crypto";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { newId, type TenantId } from "../../services/core/ids.ts";
import type { SealedSecret, Store, StoreTransaction } from "../../services/store/port.ts";
import { newKeyId, sampleAudit, sampleSigningKey, sampleTenant, sampleTimeMs } from "./samples.ts";
import type { TestStore } from "./store.contract.ts";

/** What every adapter holds of the part of the port that derived tokens need. */
export function tokenStoreContract(name: string, open: () => Promise<TestStore>): void {
  describe(`token part of the store on ${name}`, () => {
    let test: TestStore;
    let store: Store;
    const tenant = sampleTenant();
    const tenantId: TenantId = tenant.id;

    beforeEach(async () => {
      test = await open();
      store = test.store;
      await write((tx) => tx.insertTenant(tenant));
    });
    afterEach(() => test.remove());

    async function write(work: (tx: StoreTransaction) => Promise<unknown>): Promise<void> {
      await store.mutate(async (tx) => {
        await work(tx);
        const change = { kind: "tenant", tenantId, event: "changed" } as const;
        return { result: undefined, change, audit: sampleAudit(tenantId) };
      });
    }

    it("keeps signing keys, puts new states in the place of old ones, and lists the newest first", async () => {
      const [older, newer] = [sampleSigningKey(tenantId), sampleSigningKey(tenantId)].sort((a, b) =>
        a.id < b.id ? -1 : 1,
      ) as [ReturnType<typeof sampleSigningKey>, ReturnType<typeof sampleSigningKey>];
      expect(await store.tokens.tenantsWithoutSigningKey(10)).toEqual([tenantId]);
      await write(async (tx) => {
        await tx.tokens.putSigningKey(newer);
        await tx.tokens.putSigningKey(older);
      });
      expect(await store.tokens.listSigningKeys(tenantId)).toEqual([newer, older]);
      const active = {
        ...older,
        state: "RETIRED" as const,
        activateTimeMs: 1,
        retireTimeMs: 2,
        removeTimeMs: 3,
        dueTimeMs: 3,
      };
      await write((tx) => tx.tokens.putSigningKey(active));
      expect(await store.tokens.listSigningKeys(tenantId)).toEqual([newer, active]);
      const { dueTimeMs: _, ...undue } = active;
      await write((tx) => tx.tokens.putSigningKey(undue));
      expect(await store.tokens.listSigningKeys(tenantId)).toEqual([newer, undue]);
      expect(await store.tokens.tenantsWithoutSigningKey(10)).toEqual([]);
    });

    it("finds signing keys that are due, the longest overdue first", async () => {
      const due = (dueTimeMs: number) => sampleSigningKey(tenantId, { state: "ACTIVE", dueTimeMs });
      const [late, later, never] = [due(10), due(20), sampleSigningKey(tenantId)];
      await write(async (tx) => {
        for (const key of [later, never, late]) await tx.tokens.putSigningKey(key);
      });
      expect(await store.tokens.dueSigningKeys(9, 10)).toEqual([]);
      expect(await store.tokens.dueSigningKeys(10, 10)).toEqual([late]);
      expect(await store.tokens.dueSigningKeys(20, 10)).toEqual([late, later]);
      expect(await store.tokens.dueSigningKeys(20, 1)).toEqual([late]);
    });

    it("keeps the generations of each audience", async () => {
      const first = [
        { audience: "a", generation: 1, endTimeMs: 5 },
        { audience: "a", generation: 2 },
      ];
      await write(async (tx) => {
        await tx.tokens.putAudienceGenerations(tenantId, "a", first);
        await tx.tokens.putAudienceGenerations(tenantId, "b", [{ audience: "b", generation: 7 }]);
      });
      expect(await store.tokens.listAudienceGenerations(tenantId)).toEqual([
        ...first,
        { audience: "b", generation: 7 },
      ]);
      await write((tx) => tx.tokens.putAudienceGenerations(tenantId, "a", [{ audience: "a", generation: 3 }]));
      expect((await store.tokens.listAudienceGenerations(tenantId)).map((one) => one.generation)).toEqual([3, 7]);
    });

    it("remembers revoked tokens until they may be forgotten", async () => {
      const keyId = newKeyId();
      const token = (forgetTimeMs: number) => ({
        keyId,
        tokenId: newId("tok", sampleTimeMs, randomBytes(10)),
        forgetTimeMs,
      });
      const [soon, late] = [token(10), token(20)];
      await write(async (tx) => {
        await tx.tokens.insertTokenRevocation(tenantId, soon);
        await tx.tokens.insertTokenRevocation(tenantId, late);
      });
      const { tokens } = store;
      expect(await tokens.isTokenRevoked(tenantId, keyId, soon.tokenId)).toBe(true);
      expect(await tokens.isTokenRevoked(tenantId, newKeyId(), soon.tokenId)).toBe(false);
      expect(await tokens.countTokenRevocations(tenantId, keyId, 9)).toBe(2);
      expect(await tokens.listTokenRevocations(tenantId, 10)).toEqual([late]);
      expect(await tokens.forgettableTokens(10, 10)).toEqual([{ ...soon, tenantId }]);
      await write((tx) => tx.tokens.deleteTokenRevocations(tenantId, [soon]));
      expect(await tokens.isTokenRevoked(tenantId, keyId, soon.tokenId)).toBe(false);
    });

    it("lists tenants by slug, in pages, with the time before which their tokens are dead", async () => {
      const others = ["alpha", "beta"].map((slug) => sampleTenant({ slug, tokensIssuedBeforeMs: sampleTimeMs }));
      await write(async (tx) => {
        for (const one of others) await tx.insertTenant(one);
      });
      expect(await store.listTenants("", 2)).toEqual(others);
      expect(await store.listTenants("beta", 2)).toEqual([tenant]);
    });

    it("gives settings that an older version didn't know their default", async () => {
      const { selfRotationAllowed: _, ...older } = tenant.settings;
      await write((tx) => tx.updateTenant({ ...tenant, settings: older as typeof tenant.settings }));
      expect((await store.getTenant(tenantId))?.settings).toEqual(tenant.settings);
    });

    it("reseals secrets if nobody was faster, lists those that are left, and erases", async () => {
      const secret = (id: string): SealedSecret => ({
        id,
        tenantId,
        purpose: "signing_key",
        masterKeyId: "old",
        sealed: new Uint8Array([1]),
        createTimeMs: sampleTimeMs,
      });
      await write(async (tx) => {
        await tx.insertSealedSecret(secret("a"));
        await tx.insertSealedSecret(secret("b"));
      });
      expect((await store.secretsNotUnder("new", "", 10)).map(({ id }) => id)).toEqual(["a", "b"]);
      expect((await store.secretsNotUnder("new", "a", 10)).map(({ id }) => id)).toEqual(["b"]);
      const resealed = { masterKeyId: "new", sealed: new Uint8Array([2]) };
      expect(await store.resealSecret(secret("a"), resealed)).toBe(true);
      expect(await store.resealSecret(secret("a"), resealed)).toBe(false);
      const [first] = await store.listSealedSecrets("signing_key", tenantId);
      expect(first).toMatchObject({ id: "a", masterKeyId: "new" });
      expect([...(first?.sealed ?? [])]).toEqual([2]);
      await write((tx) => tx.deleteSealedSecret("a"));
      expect((await store.listSealedSecrets("signing_key", tenantId)).map(({ id }) => id)).toEqual(["b"]);
    });
  });
}
