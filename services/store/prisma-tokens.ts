import type { Prisma } from "../../gen/prisma/sqlite/client.ts";
import type { AudienceGeneration } from "../core/audience-generation.ts";
import type { TokenRevocation } from "../core/change.ts";
import type { KeyId, TenantId, TokenId } from "../core/ids.ts";
import type { SigningKey } from "../core/signing-key.ts";
import { answering } from "./prisma-errors.ts";
import type { TokenWrites } from "./token-port.ts";
import { signingKeyOf, signingKeyRowOf } from "./token-rows.ts";

/** What derived tokens need, over Prisma; the writes are for transactions only, which the port sees to. */
export class PrismaTokens implements TokenWrites {
  readonly #db: Prisma.TransactionClient;

  constructor(db: Prisma.TransactionClient) {
    this.#db = db;
  }

  listSigningKeys(tenantId: TenantId): Promise<readonly SigningKey[]> {
    return answering(async () => {
      const rows = await this.#db.signingKey.findMany({ where: { tenantId }, orderBy: { id: "desc" } });
      return rows.map(signingKeyOf);
    });
  }

  dueSigningKeys(nowMs: number, limit: number): Promise<readonly SigningKey[]> {
    return answering(async () => {
      const rows = await this.#db.signingKey.findMany({
        where: { dueTimeMs: { lte: BigInt(nowMs) } },
        orderBy: [{ dueTimeMs: "asc" }, { id: "asc" }],
        take: limit,
      });
      return rows.map(signingKeyOf);
    });
  }

  tenantsWithoutSigningKey(limit: number): Promise<readonly TenantId[]> {
    return answering(async () => {
      const rows = await this.#db.$queryRaw<{ id: TenantId }[]>`
        SELECT t.id AS id FROM tenant t
        WHERE NOT EXISTS (SELECT 1 FROM signing_key s WHERE s.tenant_id = t.id)
        ORDER BY t.id LIMIT ${limit}`;
      return rows.map(({ id }) => id);
    });
  }

  listAudienceGenerations(tenantId: TenantId): Promise<readonly AudienceGeneration[]> {
    return answering(async () => {
      const rows = await this.#db.audienceGeneration.findMany({
        where: { tenantId },
        orderBy: [{ audience: "asc" }, { generation: "asc" }],
      });
      return rows.map(({ audience, generation, endTimeMs }) => ({
        audience,
        generation: Number(generation),
        ...(endTimeMs !== null && { endTimeMs: Number(endTimeMs) }),
      }));
    });
  }

  listTokenRevocations(tenantId: TenantId, nowMs: number): Promise<readonly TokenRevocation[]> {
    return answering(async () => {
      const rows = await this.#db.tokenRevocation.findMany({
        where: { tenantId, forgetTimeMs: { gt: BigInt(nowMs) } },
      });
      return rows.map(revocationOf);
    });
  }

  countTokenRevocations(tenantId: TenantId, keyId: KeyId, nowMs: number): Promise<number> {
    return answering(() =>
      this.#db.tokenRevocation.count({ where: { tenantId, keyId, forgetTimeMs: { gt: BigInt(nowMs) } } }),
    );
  }

  isTokenRevoked(tenantId: TenantId, keyId: KeyId, tokenId: TokenId): Promise<boolean> {
    return answering(async () => (await this.#db.tokenRevocation.count({ where: { tenantId, keyId, tokenId } })) > 0);
  }

  forgettableTokens(nowMs: number, limit: number): Promise<readonly (TokenRevocation & { tenantId: TenantId })[]> {
    return answering(async () => {
      const rows = await this.#db.tokenRevocation.findMany({
        where: { forgetTimeMs: { lte: BigInt(nowMs) } },
        orderBy: { forgetTimeMs: "asc" },
        take: limit,
      });
      return rows.map((row) => ({ ...revocationOf(row), tenantId: row.tenantId as TenantId }));
    });
  }

  putSigningKey(key: SigningKey): Promise<void> {
    return answering(async () => {
      const row = signingKeyRowOf(key);
      const { count } = await this.#db.signingKey.updateMany({ where: { id: row.id }, data: row });
      if (count === 0) await this.#db.signingKey.createMany({ data: [row] });
    });
  }

  putAudienceGenerations(
    tenantId: TenantId,
    audience: string,
    generations: readonly AudienceGeneration[],
  ): Promise<void> {
    return answering(async () => {
      await this.#db.audienceGeneration.deleteMany({ where: { tenantId, audience } });
      await this.#db.audienceGeneration.createMany({
        data: generations.map(({ generation, endTimeMs }) => ({
          tenantId,
          audience,
          generation: BigInt(generation),
          endTimeMs: endTimeMs === undefined ? null : BigInt(endTimeMs),
        })),
      });
    });
  }

  insertTokenRevocation(tenantId: TenantId, { keyId, tokenId, forgetTimeMs }: TokenRevocation): Promise<void> {
    return answering(async () => {
      await this.#db.tokenRevocation.createMany({
        data: [{ tenantId, keyId, tokenId, forgetTimeMs: BigInt(forgetTimeMs) }],
      });
    });
  }

  deleteTokenRevocations(tenantId: TenantId, tokens: readonly TokenRevocation[]): Promise<void> {
    return answering(async () => {
      for (const { keyId, tokenId } of tokens) {
        await this.#db.tokenRevocation.deleteMany({ where: { tenantId, keyId, tokenId } });
      }
    });
  }
}

function revocationOf(row: { keyId: string; tokenId: string; forgetTimeMs: bigint }): TokenRevocation {
  return { keyId: row.keyId as KeyId, tokenId: row.tokenId as TokenId, forgetTimeMs: Number(row.forgetTimeMs) };
}
