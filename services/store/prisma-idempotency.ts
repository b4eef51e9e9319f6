import { Prisma } from "../../gen/prisma/sqlite/client.ts";
import { recordLifetimeMs } from "../core/repeat-lifetimes.ts";
import type { Db } from "./prisma-reads.ts";

/**
 * `tendIdempotencyRecords` of the port. What is due is a range of one index, whose end is found first: the statements
 * need no list of records, don't look at those that aren't due, and aren't made if there are none.
 */
export async function tendIdempotencyRecords(db: Db, nowMs: number, limit: number): Promise<number> {
  const due = await db.idempotencyRecord.findMany({
    where: { dueTimeMs: { lte: BigInt(nowMs) } },
    orderBy: { dueTimeMs: "asc" },
    take: limit,
    select: { dueTimeMs: true },
  });
  const through = due.at(-1)?.dueTimeMs;
  if (through === undefined) return 0;
  const deleted = await db.$executeRaw`
    DELETE FROM idempotency_record WHERE due_time_ms <= ${through} AND sealed_answer IS NULL`;
  return deleted + (await eraseAnswers(db, Prisma.sql`due_time_ms <= ${through}`));
}

/** Erases the kept answers of some records, whose own end is due from then on; gives of how many. */
export function eraseAnswers(db: Db, which: Prisma.Sql): Promise<number> {
  return db.$executeRaw`
    UPDATE idempotency_record SET sealed_answer = NULL, due_time_ms = create_time_ms + ${BigInt(recordLifetimeMs)}
    WHERE ${which} AND sealed_answer IS NOT NULL`;
}
