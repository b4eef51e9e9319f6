import type { PrismaClient } from "../../gen/prisma/sqlite/client.ts";
import type { Head } from "../core/change.ts";
import { Mutex } from "./mutex.ts";
import type { StoreActivity } from "./port.ts";
import { isConflict } from "./prisma-errors.ts";
import type { Db } from "./prisma-reads.ts";
import { type PrismaBackend, transactionMsMax } from "./prisma-store.ts";
import { retryConflicts } from "./retry-conflicts.ts";
import { revisionLanes, type ServerLimits } from "./server-limits.ts";

/**
 * Transactions on a database server. Few at once: each locks the head row, so that more would only queue in the
 * database, where a waiting one costs a connection and all of them slow each other down.
 */
export function serverTransactions(
  client: PrismaClient,
  { lockWaitMs, connectMs }: ServerLimits,
  takeRevision: (db: Db) => Promise<Head>,
  connections: StoreActivity["connections"],
): Required<Pick<PrismaBackend, "transact" | "activity">> {
  const lanes = new Mutex(revisionLanes);
  const activity = { retries: 0, connections };
  const transact: PrismaBackend["transact"] = async (work) => {
    const deadlineMs = performance.now() + lockWaitMs;
    const release = await lanes.acquire(lockWaitMs);
    try {
      const once = () =>
        client.$transaction(async (db) => work(db, await takeRevision(db)), {
          // The pool bounds the wait itself; this only stands behind it.
          maxWait: connectMs * 2,
          timeout: transactionMsMax,
        });
      return await retryConflicts(once, isConflict, deadlineMs, () => activity.retries++);
    } finally {
      release();
    }
  };
  return { transact, activity };
}
