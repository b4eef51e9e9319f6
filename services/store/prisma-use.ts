import { Prisma, type PrismaClient } from "../../gen/prisma/sqlite/client.ts";
import type { KeyUse } from "./port.ts";

/** Keys of one statement: each row is searched for in a list of its size. */
const chunkMax = 50;

/**
 * Adds use to the rows of keys and secrets, in one transaction of few statements; keys that are gone are passed over. A
 * later use stays the last one, whoever writes first. The address stands before the time: MySQL assigns in turn.
 */
export async function addUse(client: PrismaClient, uses: readonly KeyUse[]): Promise<void> {
  const statements: Prisma.Sql[] = [];
  for (let start = 0; start < uses.length; start += chunkMax) {
    const chunk = uses.slice(start, start + chunkMax);
    statements.push(Prisma.sql`
      UPDATE api_key
      SET last_used_address = CASE ${cases(chunk, (use) => addressCase(use))} ELSE last_used_address END,
        use_count = CASE ${cases(chunk, ({ keyId, count }) => countCase(Prisma.sql`id`, keyId, count))} ELSE use_count END,
        last_used_time_ms = CASE ${cases(chunk, ({ keyId, lastTimeMs }) => timeCase(Prisma.sql`id`, keyId, lastTimeMs))}
          ELSE last_used_time_ms END
      WHERE id IN (${Prisma.join(chunk.map(({ keyId }) => keyId))})`);
    for (const number of new Set(chunk.flatMap(({ versions }) => versions.map((version) => version.number)))) {
      statements.push(versionsUpdate(chunk, number));
    }
  }
  await client.$transaction(statements.map((statement) => client.$executeRaw(statement)));
}

function versionsUpdate(chunk: readonly KeyUse[], number: number): Prisma.Sql {
  const used = chunk.flatMap(({ keyId, versions }) =>
    versions.filter((version) => version.number === number).map((version) => ({ keyId, ...version })),
  );
  const column = Prisma.sql`key_id`;
  return Prisma.sql`
    UPDATE secret_version
    SET use_count = CASE ${cases(used, ({ keyId, count }) => countCase(column, keyId, count))} ELSE use_count END,
      last_used_time_ms = CASE ${cases(used, ({ keyId, lastTimeMs }) => timeCase(column, keyId, lastTimeMs))}
        ELSE last_used_time_ms END
    WHERE number = ${number} AND key_id IN (${Prisma.join(used.map(({ keyId }) => keyId))})`;
}

function cases<T>(items: readonly T[], caseOf: (item: T) => Prisma.Sql): Prisma.Sql {
  return Prisma.join(items.map(caseOf), " ");
}

function addressCase({ keyId, lastTimeMs, lastAddress }: KeyUse): Prisma.Sql {
  return Prisma.sql`WHEN id = ${keyId} AND last_used_time_ms <= ${BigInt(lastTimeMs)} THEN ${lastAddress}`;
}

function countCase(column: Prisma.Sql, keyId: string, count: number): Prisma.Sql {
  return Prisma.sql`WHEN ${column} = ${keyId} THEN use_count + ${BigInt(count)}`;
}

function timeCase(column: Prisma.Sql, keyId: string, timeMs: number): Prisma.Sql {
  return Prisma.sql`WHEN ${column} = ${keyId} AND last_used_time_ms < ${BigInt(timeMs)} THEN ${BigInt(timeMs)}`;
}
