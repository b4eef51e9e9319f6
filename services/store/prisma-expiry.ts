import type { Prisma } from "../../gen/prisma/sqlite/client.ts";
import type { KeyId, TenantId } from "../core/ids.ts";
import type { ExpiringKey, ExpiryPlace, ExpiryStore } from "./expiry-port.ts";
import { answering, insertedIfFree } from "./prisma-errors.ts";

/** The end of keys, over Prisma. */
export class PrismaExpiry implements ExpiryStore {
  readonly #db: Prisma.TransactionClient;

  constructor(db: Prisma.TransactionClient) {
    this.#db = db;
  }

  expiryCursor(leadMs: number): Promise<ExpiryPlace | undefined> {
    return answering(async () => {
      const row = await this.#db.expiryCursor.findUnique({ where: { leadMs: BigInt(leadMs) } });
      return row === null ? undefined : { expireTimeMs: Number(row.expireTimeMs), keyId: row.keyId as KeyId };
    });
  }

  expiringKeys(after: ExpiryPlace, throughMs: number, leadMs: number, limit: number): Promise<readonly ExpiringKey[]> {
    return answering(async () => {
      const at = BigInt(after.expireTimeMs);
      const rows = await this.#db.$queryRaw<{ id: KeyId; tenant_id: TenantId; expire_time_ms: bigint }[]>`
        SELECT id, tenant_id, expire_time_ms FROM api_key
        WHERE expire_time_ms >= ${at} AND expire_time_ms <= ${BigInt(throughMs)}
          AND (expire_time_ms > ${at} OR id > ${after.keyId})
          AND state <> 'REVOKED' AND create_time_ms < expire_time_ms - ${BigInt(leadMs)}
        ORDER BY expire_time_ms, id LIMIT ${limit}`;
      return rows.map((row) => ({
        id: row.id,
        tenantId: row.tenant_id,
        expireTimeMs: Number(row.expire_time_ms),
      }));
    });
  }

  moveExpiryCursor(leadMs: number, from: ExpiryPlace | undefined, to: ExpiryPlace): Promise<boolean> {
    const lead = BigInt(leadMs);
    const place = ({ expireTimeMs, keyId }: ExpiryPlace) => ({ expireTimeMs: BigInt(expireTimeMs), keyId });
    return answering(async () => {
      if (from === undefined)
        return insertedIfFree(this.#db.expiryCursor.createMany({ data: [{ leadMs: lead, ...place(to) }] }));
      const { count } = await this.#db.expiryCursor.updateMany({
        where: { leadMs: lead, ...place(from) },
        data: place(to),
      });
      return count === 1;
    });
  }
}
