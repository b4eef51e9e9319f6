import { defaultTenantSlug } from "../core/tenant.ts";
import type { Mutation, Store } from "../store/port.ts";

/** Audit action of a store that was copied to where the event is read. */
export const copyStoreAction = "CopyStore";

/** Writes into a copy that it is one, as its first entry; nothing if that was done, or the copy is in use already. */
export async function recordCopy(
  store: Pick<Store, "mutate">,
  { storeEpoch, revision: copied }: { readonly storeEpoch: string; readonly revision: bigint },
): Promise<void> {
  await store.mutate(async (tx, revision): Promise<Mutation<undefined>> => {
    const home = await tx.getTenantBySlug(defaultTenantSlug);
    if (home === undefined || revision !== copied + 1n) return { result: undefined, unchanged: true };
    return {
      result: undefined,
      change: { kind: "store", event: "epoch_renewed" },
      audit: { tenantId: home.id, action: copyStoreAction, target: storeEpoch, address: "", requestId: "" },
    };
  });
}
