import { defaultTenantSlug } from "../core/tenant.ts";
import type { Mutation, Store, StoreTransaction } from "../store/port.ts";

/** Audit action of a new store epoch. */
export const renewEpochAction = "RenewStoreEpoch";
const page = 500;

export interface RenewEpochDeps {
  readonly store: Pick<Store, "mutate">;
  /** Ms since the epoch. */
  readonly now: () => number;
  /** Random bytes of a cryptographic source. */
  readonly random: (size: number) => Uint8Array;
}

/**
 * Says that the store's history is another one than before, as after a restore: gives it a new epoch, so that every
 * server and verifier begins anew, and ends all derived tokens of every tenant that were issued before now, so that none
 * comes alive whose revocation the restored copy doesn't have. A compare-and-set: of those who see the same fork, one does
 * it. Gives the new epoch; undefined if the epoch was no longer `from`.
 */
export async function renewStoreEpoch(deps: RenewEpochDeps, from: string): Promise<string | undefined> {
  const epoch = Buffer.from(deps.random(16)).toString("hex");
  const { result } = await deps.store.mutate(async (tx): Promise<Mutation<string | undefined>> => {
    if (!(await tx.renewStoreEpoch(from, epoch))) return { result: undefined, unchanged: true };
    const home = await tx.getTenantBySlug(defaultTenantSlug);
    if (home === undefined) throw new TypeError("a store that was started has a tenant default");
    await endTokens(tx, deps.now());
    return {
      result: epoch,
      change: { kind: "store", event: "epoch_renewed" },
      audit: { tenantId: home.id, action: renewEpochAction, target: epoch, address: "", requestId: "" },
    };
  });
  return result;
}

/** Ends the derived tokens of every tenant. Times of issue are whole seconds: those of this one end too. */
async function endTokens(tx: StoreTransaction, nowMs: number): Promise<void> {
  const beforeMs = Math.ceil(nowMs / 1000) * 1000;
  for (let afterSlug = "", more = true; more; ) {
    const tenants = await tx.listTenants(afterSlug, page);
    for (const tenant of tenants) {
      const tokensIssuedBeforeMs = Math.max(tenant.tokensIssuedBeforeMs ?? 0, beforeMs);
      await tx.updateTenant({ ...tenant, tokensIssuedBeforeMs, updateTimeMs: nowMs });
    }
    afterSlug = tenants.at(-1)?.slug ?? "";
    more = tenants.length === page;
  }
}
