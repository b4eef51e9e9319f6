import { byItself } from "../core/audit-event.ts";
import type { KeyId, TenantId } from "../core/ids.ts";
import type { Mutation, Store } from "../store/port.ts";

/** How long payloads of the log are kept, in ms: who comes back within it resumes, and later begins anew. */
export const changeRetentionMs = 24 * 3_600_000;
/** No payload is erased before, whatever the retention, in ms. */
export const changeRetentionMsMin = 3_600_000;
/** Entries of one transaction, which keeps other writers waiting. */
const compactBatch = 500;
const forgetBatch = 500;

export interface TendChangesDeps {
  readonly store: Pick<Store, "mutate" | "forgettableMarks" | "compactChanges">;
  /** Ms since the epoch. */
  readonly now: () => number;
}

/**
 * Forgets marks of keys that no living token needs, by an entry of the log, and erases old payloads of the log. Each step
 * decides again inside its transaction, so that of several servers one does it.
 */
export async function tendChanges(
  { store, now }: TendChangesDeps,
  goOn: () => boolean = () => true,
  retentionMs: number = changeRetentionMs,
): Promise<void> {
  while (goOn() && (await forgetMarks({ store, now })) > 0);
  const beforeMs = now() - Math.max(retentionMs, changeRetentionMsMin);
  while (goOn() && (await store.compactChanges(beforeMs, compactBatch)) > 0);
}

/** Forgets the marks of one tenant that are due; gives how many. */
async function forgetMarks({ store, now }: TendChangesDeps): Promise<number> {
  const [first] = await store.forgettableMarks(now(), 1);
  if (first === undefined) return 0;
  const { tenantId } = first;
  const { result } = await store.mutate(async (tx): Promise<Mutation<number>> => {
    const keyIds = ofTenant(tenantId, await tx.forgettableMarks(now(), forgetBatch));
    if (keyIds.length === 0) return { result: 0, unchanged: true };
    return {
      result: keyIds.length,
      change: { kind: "key", tenantId, event: "forgotten", keyIds },
      audit: byItself(tenantId, "ForgetKeyMarks", tenantId),
    };
  });
  return result;
}

function ofTenant(
  tenantId: TenantId,
  marks: readonly { readonly tenantId: TenantId; readonly keyId: KeyId }[],
): readonly KeyId[] {
  return marks.filter((mark) => mark.tenantId === tenantId).map(({ keyId }) => keyId);
}
