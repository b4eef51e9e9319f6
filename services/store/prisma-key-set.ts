import type { Prisma, PrismaClient } from "../../gen/prisma/sqlite/client.ts";
import type { Change } from "../core/change.ts";
import type { KeyId, TenantId } from "../core/ids.ts";
import { type KeyMark, type KeyMarkStatus, markAfter } from "../core/key-set/key-mark.ts";
import { headRowId } from "./head-row.ts";
import type { KeySetRecord, KeySetStore } from "./key-set-port.ts";
import { gatherMarks, gatherTokens } from "./key-set-rows.ts";
import { type Db, readHead } from "./prisma-reads.ts";
import { PrismaTokens } from "./prisma-tokens.ts";
import { insertRows } from "./prisma-transaction.ts";
import { tenantOf } from "./rows.ts";

type KeyChange = Extract<Change, { kind: "key" }>;

/**
 * Keeps the marks of the keys that a change names, in its transaction, by the rule by which feeds fold the log. Nothing
 * is read for a change that can't touch a mark.
 */
export async function keepMarks(db: Db, change: Change, commitTimeMs: number): Promise<void> {
  if (change.kind !== "key" || !touchesMarks(change)) return;
  const { tenantId, event, tokenEpoch } = change;
  for (let start = 0; start < change.keyIds.length; start += keysPerStatement) {
    const keyIds = change.keyIds.slice(start, start + keysPerStatement);
    const rows = await db.keyMark.findMany({ where: { tenantId, keyId: { in: [...keyIds] } } });
    const before = new Map(rows.map((row) => [row.keyId, markOf(row)]));
    const after = keyIds.map((keyId) => ({
      keyId,
      mark: markAfter(before.get(keyId), event, tokenEpoch, commitTimeMs),
    }));
    if (rows.length > 0) await db.keyMark.deleteMany({ where: { tenantId, keyId: { in: [...before.keys()] } } });
    await insertRows(
      db,
      "key_mark",
      after.flatMap(({ keyId, mark }) => (mark === undefined ? [] : [markRowOf(tenantId, keyId, mark)])),
    );
  }
}

/** `loadKeySet` of a database server: reads in a transaction that sees one moment. */
export function keySetReader(
  client: PrismaClient,
  isolation: "RepeatableRead" | "Serializable",
): KeySetStore["loadKeySet"] {
  // The clients differ in the type that has the levels, not in their names.
  const isolationLevel = isolation as Prisma.TransactionIsolationLevel;
  return (tenantId) => client.$transaction((db) => readKeySet(db, tenantId), { isolationLevel, timeout: readMsMax });
}

async function readKeySet(db: Db, tenantId: TenantId): Promise<KeySetRecord | undefined> {
  const head = await readHead(db);
  const tenant = await db.tenant.findUnique({ where: { id: tenantId } });
  if (tenant === null) return undefined;
  return {
    head: { revision: head.revision, hash: head.hash, storeEpoch: head.storeEpoch },
    tenant: tenantOf(tenant),
    ...(await gatherMarks(({ keyId: after }, take) =>
      db.keyMark.findMany({
        where: { tenantId, keyId: { gt: after } },
        orderBy: { keyId: "asc" },
        take,
        select: { keyId: true, status: true, tokenEpoch: true },
      }),
    )),
    revokedTokens: await gatherTokens((after, take) =>
      db.tokenRevocation.findMany({
        // The first condition follows from the second; it lets every database begin where it should.
        where: {
          tenantId,
          keyId: { gte: after.keyId },
          OR: [{ keyId: { gt: after.keyId } }, { tokenId: { gt: after.tokenId } }],
        },
        orderBy: [{ keyId: "asc" }, { tokenId: "asc" }],
        take,
        select: { keyId: true, tokenId: true },
      }),
    ),
    signingKeys: await new PrismaTokens(db).listSigningKeys(tenantId),
  };
}

/** `compactChanges` of the port. */
export function compactChanges(client: PrismaClient, beforeMs: number, limit: number): Promise<number> {
  return client.$transaction(async (db) => {
    const head = await readHead(db);
    const oldest = await db.changeLog.findMany({
      where: { revision: { gt: head.compactedThrough, lt: head.revision } },
      orderBy: { revision: "asc" },
      take: limit,
      select: { revision: true, commitTimeMs: true },
    });
    // Clocks of servers differ: what counts is the prefix, not each entry's time.
    const young = oldest.findIndex(({ commitTimeMs }) => commitTimeMs >= BigInt(beforeMs));
    const old = young < 0 ? oldest : oldest.slice(0, young);
    const through = old.at(-1)?.revision;
    if (through === undefined) return 0;
    const { count } = await db.storeHead.updateMany({
      where: { id: headRowId, compactedThrough: head.compactedThrough },
      data: { compactedThrough: through },
    });
    if (count === 0) return 0;
    await db.changeLog.updateMany({
      where: { revision: { gt: head.compactedThrough, lte: through } },
      data: { payload: null },
    });
    return old.length;
  });
}

/** Up to which revision payloads are gone. */
export async function readCompactedThrough(db: Db): Promise<bigint> {
  return (await readHead(db)).compactedThrough;
}

/** Longest that the read of a key set may take. */
const readMsMax = 60_000;

/** Ids in one statement; below every database's limit. */
const keysPerStatement = 500;

function touchesMarks({ event, tokenEpoch }: KeyChange): boolean {
  return tokenEpoch !== undefined || ["revoked", "disabled", "enabled", "deleted", "forgotten"].includes(event);
}

function markOf(row: { status: string; tokenEpoch: number; forgetTimeMs: bigint | null }): KeyMark {
  const { status, tokenEpoch, forgetTimeMs } = row;
  return {
    status: status as KeyMarkStatus,
    tokenEpoch,
    ...(forgetTimeMs !== null && { forgetTimeMs: Number(forgetTimeMs) }),
  };
}

function markRowOf(tenantId: TenantId, keyId: KeyId, { status, tokenEpoch, forgetTimeMs }: KeyMark) {
  const forget = forgetTimeMs === undefined ? null : BigInt(forgetTimeMs);
  return { tenantId, keyId, status, tokenEpoch, forgetTimeMs: forget };
}
