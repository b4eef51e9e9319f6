import type { ApiKey } from "../core/api-key.ts";
import { leavesTombstone } from "../core/key-life.ts";
import type { StoreTransaction } from "../store/port.ts";

/**
 * Deletes keys in an open transaction, with the answers that are kept about them; imported ones that were revoked leave
 * tombstones. What verifiers must know of them outlives them: the store sees to that.
 */
export async function deleteKeys(tx: StoreTransaction, keys: readonly ApiKey[], nowMs: number): Promise<void> {
  await tx.insertImportTombstones(keys.filter(leavesTombstone), nowMs);
  await tx.deleteKeys(keys);
  await tx.eraseIdempotentAnswers(...keys.map(({ id }) => id));
}
