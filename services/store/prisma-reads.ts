import { Prisma } from "../../gen/prisma/sqlite/client.ts";
import type { ApiKey } from "../core/api-key.ts";
import type { ChangeRow, Head } from "../core/change.ts";
import type { KeyId, TenantId } from "../core/ids.ts";
import { rootScope } from "../core/scopes.ts";
import { defaultTenantSlug, type Tenant } from "../core/tenant.ts";
import type { ExpiryStore } from "./expiry-port.ts";
import { headRowId, requiredHead } from "./head-row.ts";
import { keysSqlParts } from "./hot-read-sql.ts";
import type {
  IdempotencyKey,
  IdempotencyRecord,
  KeyCursor,
  KeyOfDigest,
  KeyQuery,
  KeyScan,
  SealedSecret,
  StoreReads,
} from "./port.ts";
import { answering } from "./prisma-errors.ts";
import { PrismaExpiry } from "./prisma-expiry.ts";
import { scanKeys } from "./prisma-key-scan.ts";
import { PrismaTokens } from "./prisma-tokens.ts";
import {
  changeRowsOf,
  idempotencyRecordOf,
  type KeyWithVersionRow,
  keysOfRows,
  ownBytes,
  sealedSecretOf,
  tenantOf,
} from "./rows.ts";

/** What reads and writes go through: the client, or one of its transactions. */
export type Db = Prisma.TransactionClient;

/** The head row. Throws StoreFenced if there is no open one. */
export async function readHead(db: Db) {
  return requiredHead(await db.storeHead.findUnique({ where: { id: headRowId } }));
}

/** The reads of the port over Prisma: of committed state, or within a transaction of its own writes. */
export abstract class PrismaReads implements StoreReads {
  protected readonly db: Db;
  readonly tokens: PrismaTokens;
  readonly expiry: ExpiryStore;

  constructor(db: Db) {
    this.db = db;
    this.expiry = new PrismaExpiry(db);
    this.tokens = new PrismaTokens(db);
  }

  head(): Promise<Head> {
    return answering(async () => {
      const { revision, hash, storeEpoch } = await readHead(this.db);
      return { revision, hash, storeEpoch };
    });
  }

  getTenant(id: TenantId): Promise<Tenant | undefined> {
    return answering(async () => optional(tenantOf, await this.db.tenant.findUnique({ where: { id } })));
  }

  getTenantBySlug(slug: string): Promise<Tenant | undefined> {
    return answering(async () => optional(tenantOf, await this.db.tenant.findUnique({ where: { slug } })));
  }

  /** Past Prisma in every adapter: the store and its transactions have each their own way. */
  abstract getKey(id: KeyId): Promise<ApiKey | undefined>;

  keysOfDigests(tenantId: TenantId, digests: readonly Uint8Array[]): Promise<readonly KeyOfDigest[]> {
    return answering(async () => {
      const rows = await inChunks(digests.map(ownBytes), (chunk) =>
        this.db.secretVersion.findMany({
          where: { tenantId, digest: { in: chunk } },
          select: { keyId: true, digest: true },
        }),
      );
      return rows.map(({ keyId, digest }) => ({ keyId: keyId as KeyId, digest }));
    });
  }

  importTombstones(tenantId: TenantId, digests: readonly Uint8Array[]): Promise<readonly Uint8Array[]> {
    return answering(async () => {
      const rows = await inChunks(digests.map(ownBytes), (chunk) =>
        this.db.importTombstone.findMany({ where: { tenantId, digest: { in: chunk } }, select: { digest: true } }),
      );
      return rows.map(({ digest }) => digest);
    });
  }

  scanKeys(query: KeyQuery, after: KeyCursor | undefined, lookMax: number): Promise<KeyScan> {
    return answering(() => scanKeys(this.db, query, after, lookMax));
  }

  getKeys(ids: readonly KeyId[]): Promise<readonly ApiKey[]> {
    return answering(async () => {
      const rows = await inChunks(ids, (chunk) =>
        this.db.$queryRaw<KeyWithVersionRow[]>(Prisma.sql(keysSqlParts, Prisma.join(chunk))),
      );
      const keys = keysOfRows(rows);
      return ids.flatMap((id) => keys.get(id) ?? []);
    });
  }

  countKeys(id: TenantId): Promise<number> {
    return answering(async () => {
      const row = await this.db.tenant.findUnique({ where: { id }, select: { keyCount: true } });
      return Number(row?.keyCount ?? 0);
    });
  }

  countKeysOfOwner(tenantId: TenantId, ownerId: string, atMost: number): Promise<number> {
    return answering(() => this.db.apiKey.count({ where: { tenantId, ownerId }, take: atMost }));
  }

  deadKeyIds(tenantId: TenantId, before: number, limit: number): Promise<readonly KeyId[]> {
    return answering(async () => {
      const beforeMs = { lte: BigInt(before) };
      const shared = { take: limit, select: { id: true } };
      const expired = await this.db.apiKey.findMany({
        where: { tenantId, expireTimeMs: beforeMs },
        orderBy: [{ expireTimeMs: "asc" }, { id: "asc" }],
        ...shared,
      });
      const revoked = await this.db.apiKey.findMany({
        where: { tenantId, revocationTimeMs: beforeMs },
        orderBy: [{ revocationTimeMs: "asc" }, { id: "asc" }],
        ...shared,
      });
      return [...new Set([...expired, ...revoked].map(({ id }) => id as KeyId))].slice(0, limit);
    });
  }

  liveRootKeyIds(nowMs: number): Promise<readonly KeyId[]> {
    return answering(async () => {
      const rows = await this.db.$queryRaw<{ id: KeyId }[]>`
        SELECT k.id AS id
        FROM tenant t
        JOIN key_scope s ON s.tenant_id = t.id AND s.scope = ${rootScope}
        JOIN api_key k ON k.id = s.key_id
        WHERE t.slug = ${defaultTenantSlug} AND k.state = 'ACTIVE' AND k.constraints = '{}' AND k.allowed_cidrs = '[]'
          AND (k.expire_time_ms IS NULL OR k.expire_time_ms > ${BigInt(nowMs)})
        ORDER BY k.id`;
      return rows.map(({ id }) => id);
    });
  }

  listSealedSecrets(purpose: string, tenantId?: TenantId): Promise<readonly SealedSecret[]> {
    return answering(async () => {
      const where = { purpose, ...(tenantId !== undefined && { tenantId }) };
      const rows = await this.db.sealedSecret.findMany({ where, orderBy: { id: "asc" } });
      return rows.map(sealedSecretOf);
    });
  }

  hasSealedSecret(id: string): Promise<boolean> {
    return answering(async () => {
      const rows = await this.db.$queryRaw<unknown[]>`SELECT 1 AS one FROM sealed_secret WHERE id = ${id}`;
      return rows.length > 0;
    });
  }

  isPepperBound(pepperId: string): Promise<boolean> {
    return answering(async () => {
      const one = { where: { pepperId }, select: { tenantId: true } };
      return (
        (await this.db.importTombstone.findFirst(one)) !== null || (await this.db.secretVersion.findFirst(one)) !== null
      );
    });
  }

  listTenants(afterSlug: string, limit: number): Promise<readonly Tenant[]> {
    return answering(async () => {
      const where = { slug: { gt: afterSlug } };
      return (await this.db.tenant.findMany({ where, orderBy: { slug: "asc" }, take: limit })).map(tenantOf);
    });
  }

  forgettableMarks(nowMs: number, limit: number): ReturnType<StoreReads["forgettableMarks"]> {
    return answering(async () => {
      const rows = await this.db.keyMark.findMany({
        where: { forgetTimeMs: { lte: BigInt(nowMs) }, status: { not: "DISABLED" } },
        orderBy: [{ forgetTimeMs: "asc" }, { keyId: "asc" }],
        take: limit,
      });
      return rows.map((row) => ({ tenantId: row.tenantId as TenantId, keyId: row.keyId as KeyId }));
    });
  }

  changesAfter(after: bigint, limit: number): Promise<readonly ChangeRow[]> {
    return answering(async () => {
      const rows = await this.db.changeLog.findMany({
        where: { revision: { gt: after }, payload: { not: null } },
        orderBy: { revision: "asc" },
        take: limit,
      });
      return changeRowsOf(rows);
    });
  }

  getIdempotencyRecord({
    tenantId,
    callerKeyId,
    method,
    requestId,
  }: IdempotencyKey): Promise<IdempotencyRecord | undefined> {
    return answering(async () => {
      const row = await this.db.idempotencyRecord.findUnique({
        where: { tenantId_callerKeyId_method_requestId: { tenantId, callerKeyId, method, requestId } },
      });
      return optional(idempotencyRecordOf, row);
    });
  }
}

/** Values of one list in a statement: Prisma takes 998 parameters on SQLite, all in all. */
const chunkMax = 500;

/** Asks for a long list in parts, one after the other, and gives all that they found. */
export async function inChunks<T, R>(
  items: readonly T[],
  ask: (chunk: T[]) => Promise<readonly R[]>,
): Promise<readonly R[]> {
  const found: R[] = [];
  for (let start = 0; start < items.length; start += chunkMax) {
    found.push(...(await ask(items.slice(start, start + chunkMax))));
  }
  return found;
}

function optional<R, T>(convert: (row: R) => T, row: R | null): T | undefined {
  return row === null ? undefined : convert(row);
}
