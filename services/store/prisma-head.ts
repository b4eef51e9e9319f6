import type { Head } from "../core/change.ts";
import { headRowId, requiredHead } from "./head-row.ts";
import type { Db } from "./prisma-reads.ts";

/**
 * Locks the head row and counts its revision up; gives the head with that revision and the hash before it. On SQLite BEGIN
 * IMMEDIATE has the write lock already; elsewhere this statement takes the row's, and waits for whoever has it.
 */
export async function takeRevision(db: Db): Promise<Head> {
  const [head] = await db.$queryRaw<Head[]>`
    UPDATE store_head SET revision = revision + 1 WHERE id = ${headRowId}
    RETURNING revision, hash, store_epoch AS "storeEpoch"`;
  return requiredHead(head);
}

/** The same for MySQL, which has no UPDATE … RETURNING: the row is this transaction's once it was written. */
export async function takeRevisionInTwo(db: Db): Promise<Head> {
  await db.$executeRaw`UPDATE store_head SET revision = revision + 1 WHERE id = ${headRowId}`;
  const [head] = await db.$queryRaw<Head[]>`
    SELECT revision, hash, store_epoch AS storeEpoch FROM store_head WHERE id = ${headRowId}`;
  return requiredHead(head);
}
