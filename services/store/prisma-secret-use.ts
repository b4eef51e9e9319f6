import { Prisma } from "../../gen/prisma/sqlite/client.ts";
import type { SecretUse } from "./port.ts";
import type { Db } from "./prisma-reads.ts";

/** Secrets of one statement: servers end one that takes too long. */
const secretsPerStatement = 100_000;

interface Bound {
  readonly pepperId: string;
  readonly live: bigint;
  readonly total: bigint;
}

/** `secretUse` of the port: looks at every secret once, in the order of the keys' ids. */
export async function secretUse(db: Db, nowMs: number): Promise<SecretUse> {
  const peppers = new Map<string, { live: number; dead: number; tombstones: number }>();
  const of = (pepperId: string) => {
    const use = peppers.get(pepperId) ?? { live: 0, dead: 0, tombstones: 0 };
    peppers.set(pepperId, use);
    return use;
  };
  for (let after = "", through: string | undefined = ""; through !== undefined; after = through ?? after) {
    through = await lastKeyOfStep(db, after);
    for (const { pepperId, live, total } of await boundOfKeys(db, nowMs, after, through)) {
      of(pepperId).live += Number(live);
      of(pepperId).dead += Number(total - live);
    }
  }
  for (const { pepperId, _count } of await db.importTombstone.groupBy({ by: ["pepperId"], _count: true })) {
    of(pepperId).tombstones = _count;
  }
  const masterKeys = await db.sealedSecret.groupBy({ by: ["masterKeyId"], _count: true });
  return {
    peppers: [...peppers]
      .map(([pepperId, use]) => ({ pepperId, ...use }))
      .sort((a, b) => (a.pepperId < b.pepperId ? -1 : 1)),
    masterKeys: masterKeys.map(({ masterKeyId, _count }) => ({ masterKeyId, secrets: _count })),
  };
}

/** The key up to which one statement looks; undefined: at all that follow. */
async function lastKeyOfStep(db: Db, after: string): Promise<string | undefined> {
  const next = await db.secretVersion.findFirst({
    where: { keyId: { gt: after } },
    orderBy: [{ keyId: "asc" }, { number: "asc" }],
    skip: secretsPerStatement,
    select: { keyId: true },
  });
  return next?.keyId;
}

function boundOfKeys(db: Db, nowMs: number, after: string, through: string | undefined): Promise<readonly Bound[]> {
  const now = BigInt(nowMs);
  const end = through === undefined ? Prisma.empty : Prisma.sql`AND v.key_id <= ${through}`;
  return db.$queryRaw<Bound[]>`
    SELECT v.pepper_id AS "pepperId", COUNT(*) AS total,
      COUNT(CASE WHEN k.state <> 'REVOKED' AND (k.expire_time_ms IS NULL OR k.expire_time_ms > ${now})
        AND (v.grace_end_time_ms IS NULL OR v.grace_end_time_ms > ${now}) THEN 1 END) AS live
    FROM secret_version v JOIN api_key k ON k.id = v.key_id
    WHERE v.key_id > ${after} ${end}
    GROUP BY v.pepper_id`;
}
