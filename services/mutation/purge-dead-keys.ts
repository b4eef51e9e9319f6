import { byItself } from "../core/audit-event.ts";
import { keysDigest } from "../core/change-chain.ts";
import type { KeyId, TenantId } from "../core/ids.ts";
import type { Tenant } from "../core/tenant.ts";
import type { Mutation, Store, StoreReads } from "../store/port.ts";
import { deleteKeys } from "./delete-keys.ts";

/** Time between two looks for dead keys, in ms: tenants give them days. */
export const purgeIntervalMs = 10 * 60_000;
/** Keys of one transaction, which keeps other writers waiting. */
const keysOfPage = 100;
const tenantsOfPage = 100;
const dayMs = 86_400_000;

export interface PurgeDeps {
  readonly store: Pick<Store, "listTenants" | "deadKeyIds" | "mutate">;
  /** Ms since the epoch. */
  readonly now: () => number;
  readonly monotonicMs: () => number;
  /** Lets so many ms go by. */
  readonly rest: (ms: number) => Promise<void>;
  readonly log: { info(fields: object, message: string): void };
}

/**
 * Deletes the keys that have been dead for longer than their tenant keeps such, in pages of one revision and one audit
 * event (`PurgeDeadKeys`) each. Each page is found again inside its transaction, so that of several servers one does it.
 * After a page, as much time goes by as it took: who wants to write meanwhile waits for a page, never for them all.
 */
export async function purgeDeadKeys(deps: PurgeDeps, goOn: () => boolean = () => true): Promise<void> {
  for (let afterSlug: string | undefined = ""; afterSlug !== undefined && goOn(); ) {
    const tenants: readonly Tenant[] = await deps.store.listTenants(afterSlug, tenantsOfPage);
    for (const tenant of tenants) await purgeTenant(deps, tenant, goOn);
    afterSlug = tenants.length < tenantsOfPage ? undefined : tenants.at(-1)?.slug;
  }
}

async function purgeTenant(deps: PurgeDeps, tenant: Tenant, goOn: () => boolean): Promise<void> {
  const { store, now, monotonicMs, rest, log } = deps;
  let total = 0;
  // Nobody waits for the lock of a transaction that would find nothing.
  while (goOn() && (await dueKeyIds(store, tenant, now(), 1)).length > 0) {
    const beginMs = monotonicMs();
    const count = await purgePage(deps, tenant.id);
    if (count === 0) break;
    total += count;
    await rest(monotonicMs() - beginMs);
  }
  if (total > 0) log.info({ tenantId: tenant.id, keys: total }, "dead keys were deleted");
}

async function dueKeyIds(
  reads: Pick<StoreReads, "deadKeyIds">,
  tenant: Tenant | undefined,
  nowMs: number,
  limit: number,
): Promise<readonly KeyId[]> {
  const days = tenant?.settings.deadKeyRetentionDays;
  return tenant === undefined || days === undefined ? [] : reads.deadKeyIds(tenant.id, nowMs - days * dayMs, limit);
}

/** Gives how many keys it deleted; 0: none is due. */
async function purgePage({ store, now }: PurgeDeps, tenantId: TenantId): Promise<number> {
  const { result } = await store.mutate(async (tx): Promise<Mutation<number>> => {
    const nowMs = now();
    const due = await dueKeyIds(tx, await tx.getTenant(tenantId), nowMs, keysOfPage);
    if (due.length === 0) return { result: 0, unchanged: true };
    const keys = await tx.getKeys(due);
    await deleteKeys(tx, keys, nowMs);
    return {
      result: keys.length,
      change: { kind: "key", tenantId, event: "deleted", keyIds: keys.map(({ id }) => id) },
      audit: { ...byItself(tenantId, "PurgeDeadKeys", tenantId), beforeDigest: keysDigest(keys) },
    };
  });
  return result;
}
