import type { SecretUse } from "./port.ts";
import type { Db } from "./prisma-reads.ts";

/** `secretUse` of the port: one look at every secret, with its key. */
export async function secretUse(db: Db, nowMs: number): Promise<SecretUse> {
  const now = BigInt(nowMs);
  const bound = await db.$queryRaw<{ pepperId: string; live: bigint; total: bigint }[]>`
    SELECT v.pepper_id AS "pepperId", COUNT(*) AS total,
      COUNT(CASE WHEN k.state <> 'REVOKED' AND (k.expire_time_ms IS NULL OR k.expire_time_ms > ${now})
        AND (v.grace_end_time_ms IS NULL OR v.grace_end_time_ms > ${now}) THEN 1 END) AS live
    FROM secret_version v JOIN api_key k ON k.id = v.key_id
    GROUP BY v.pepper_id`;
  const tombstones = await db.importTombstone.groupBy({ by: ["pepperId"], _count: true });
  const masterKeys = await db.sealedSecret.groupBy({ by: ["masterKeyId"], _count: true });
  const ids = new Set([...bound, ...tombstones].map(({ pepperId }) => pepperId));
  return {
    peppers: [...ids].sort().map((pepperId) => {
      const { live = 0n, total = 0n } = bound.find((one) => one.pepperId === pepperId) ?? {};
      return {
        pepperId,
        live: Number(live),
        dead: Number(total - live),
        tombstones: tombstones.find((one) => one.pepperId === pepperId)?._count ?? 0,
      };
    }),
    masterKeys: masterKeys.map(({ masterKeyId, _count }) => ({ masterKeyId, secrets: _count })),
  };
}
