import { Prisma } from "../../gen/prisma/sqlite/client.ts";
import type { ApiKey, SecretVersion } from "../core/api-key.ts";
import type { KeyId, TenantId } from "../core/ids.ts";
import type { Tenant } from "../core/tenant.ts";
import { headRowId } from "./head-row.ts";
import type { IdempotencyRecord, SealedSecret, StoreTransaction } from "./port.ts";
import { answering } from "./prisma-errors.ts";
import { deleteFilterRows, type FilterRows, filterRowsOf, rowsWithout } from "./prisma-filter-rows.ts";
import { eraseAnswers } from "./prisma-idempotency.ts";
import { type Db, inChunks, PrismaReads } from "./prisma-reads.ts";
import {
  columnOf,
  idempotencyRowOf,
  keyRowOf,
  ownBytes,
  sealedSecretRowOf,
  secretVersionRowOf,
  tenantRowOf,
} from "./rows.ts";

/** Rows of one statement; keeps its parameters well below every database's limit. */
const insertRowsMax = 500;

/** Reads a key, as the transaction that is open sees it. */
export type KeyInTransaction = (db: Db, id: KeyId) => Promise<ApiKey | undefined>;

/** Inserts many rows of a table, as the adapter does it best. */
export type InsertMany = (db: Db, table: string, rows: readonly Readonly<Record<string, unknown>>[]) => Promise<void>;

/** The writes of the port within a Prisma transaction. */
export class PrismaTransaction extends PrismaReads implements StoreTransaction {
  readonly #readKey: KeyInTransaction;
  readonly #insertMany: InsertMany;

  constructor(db: Db, readKey: KeyInTransaction, insertMany: InsertMany) {
    super(db);
    this.#readKey = readKey;
    this.#insertMany = insertMany;
  }

  override getKey(id: KeyId): Promise<ApiKey | undefined> {
    return answering(() => this.#readKey(this.db, id));
  }

  insertTenant(tenant: Tenant): Promise<void> {
    return answering(() => insertRows(this.db, "tenant", [{ ...tenantRowOf(tenant), keyCount: 0n }]));
  }

  updateTenant(tenant: Tenant): Promise<void> {
    return answering(async () => {
      const { id, createTimeMs: _, ...data } = tenantRowOf(tenant);
      requireOne(await this.db.tenant.updateMany({ where: { id }, data }), id);
    });
  }

  insertKey(key: ApiKey): Promise<void> {
    return this.insertKeys([key]);
  }

  insertKeys(keys: readonly ApiKey[]): Promise<void> {
    return answering(async () => {
      await this.#insertMany(
        this.db,
        "api_key",
        keys.map((key) => ({ ...keyRowOf(key), ...unused, lastUsedAddress: "" })),
      );
      await this.#insertMany(
        this.db,
        "secret_version",
        keys.flatMap((key) => key.secretVersions.map((version) => newVersionRow(key, version))),
      );
      await this.#insertFilterRows(filterRowsOf(keys));
      await this.#countKeys(keys, 1);
    });
  }

  updateKey(key: ApiKey): Promise<void> {
    return answering(async () => {
      const before = await this.getKey(key.id);
      const { id, tenantId: _, kind: __, prefix: ___, createTimeMs: ____, ...data } = keyRowOf(key);
      requireOne(await this.db.apiKey.updateMany({ where: { id }, data }), id);
      if (before === undefined) return;
      await this.#updateVersions(before, key);
      const [rowsBefore, rowsAfter] = [filterRowsOf([before]), filterRowsOf([key])];
      await deleteFilterRows(this.db, rowsWithout(rowsBefore, rowsAfter));
      await this.#insertFilterRows(rowsWithout(rowsAfter, rowsBefore));
    });
  }

  deleteKeys(keys: readonly ApiKey[]): Promise<void> {
    return answering(async () => {
      await deleteFilterRows(this.db, filterRowsOf(keys));
      // Their versions go with them, by the foreign key.
      const deleted = await inChunks(
        keys.map(({ id }) => id),
        async (ids) => [(await this.db.apiKey.deleteMany({ where: { id: { in: ids } } })).count],
      );
      const count = deleted.reduce((sum, one) => sum + one, 0);
      if (count !== keys.length) throw new Error(`no row of ${keys.length - count} keys`);
      await this.#countKeys(keys, -1);
    });
  }

  insertImportTombstones(keys: readonly ApiKey[], deleteTimeMs: number): Promise<void> {
    return answering(() =>
      insertRows(
        this.db,
        "import_tombstone",
        keys.flatMap(({ tenantId, secretVersions }) =>
          secretVersions.map(({ digest, pepperId }) => ({
            tenantId,
            digest,
            pepperId,
            deleteTimeMs: BigInt(deleteTimeMs),
          })),
        ),
      ),
    );
  }

  deleteImportTombstones(tenantId: TenantId, digests: readonly Uint8Array[]): Promise<void> {
    return answering(async () => {
      await inChunks(digests.map(ownBytes), async (chunk) => [
        await this.db.importTombstone.deleteMany({ where: { tenantId, digest: { in: chunk } } }),
      ]);
    });
  }

  updateRevokedKeys(keys: readonly ApiKey[]): Promise<void> {
    return answering(async () => {
      const [first] = keys;
      if (first === undefined) return;
      const { state, revocationReason, revocationComment, revocationTimeMs, updateTimeMs, revision } = keyRowOf(first);
      const data = { state, revocationReason, revocationComment, revocationTimeMs, updateTimeMs, revision };
      await inChunks(
        keys.map(({ id }) => id),
        async (ids) => [await this.db.apiKey.updateMany({ where: { id: { in: ids } }, data })],
      );
    });
  }

  insertSealedSecret(secret: SealedSecret): Promise<void> {
    return answering(() => insertRows(this.db, "sealed_secret", [sealedSecretRowOf(secret)]));
  }

  deleteSealedSecret(id: string): Promise<void> {
    return answering(async () => {
      await this.db.sealedSecret.deleteMany({ where: { id } });
    });
  }

  renewStoreEpoch(from: string, to: string): Promise<boolean> {
    return answering(async () => {
      const { count } = await this.db.storeHead.updateMany({
        where: { id: headRowId, storeEpoch: from },
        data: { storeEpoch: to },
      });
      return count === 1;
    });
  }

  insertIdempotencyRecord(record: IdempotencyRecord): Promise<void> {
    return answering(async () => {
      const { tenantId, callerKeyId, method, requestId } = record;
      await this.db.idempotencyRecord.deleteMany({ where: { tenantId, callerKeyId, method, requestId } });
      await insertRows(this.db, "idempotency_record", [idempotencyRowOf(record)]);
    });
  }

  eraseIdempotentAnswers(...keyIds: readonly KeyId[]): Promise<void> {
    return answering(async () => {
      await inChunks(keyIds, async (chunk) => [
        await eraseAnswers(this.db, Prisma.sql`key_id IN (${Prisma.join(chunk)})`),
      ]);
    });
  }

  async #insertFilterRows(all: readonly FilterRows[]): Promise<void> {
    for (const { table, rows } of all) await this.#insertMany(this.db, table, rows);
  }

  async #countKeys(keys: readonly ApiKey[], sign: 1 | -1): Promise<void> {
    for (const tenantId of new Set(keys.map((key) => key.tenantId))) {
      const count = keys.filter((key) => key.tenantId === tenantId).length;
      await this.db
        .$executeRaw`UPDATE tenant SET key_count = key_count + ${BigInt(sign * count)} WHERE id = ${tenantId}`;
    }
  }

  async #updateVersions(before: ApiKey, after: ApiKey): Promise<void> {
    const old = new Map(before.secretVersions.map((version) => [version.number, version]));
    const kept = new Set(after.secretVersions.map(({ number }) => number));
    const gone = before.secretVersions.filter(({ number }) => !kept.has(number));
    if (gone.length > 0) {
      await this.db.secretVersion.deleteMany({
        where: { keyId: after.id, number: { in: gone.map(({ number }) => number) } },
      });
    }
    for (const version of after.secretVersions) {
      const former = old.get(version.number);
      if (former === undefined || sameVersion(former, version)) continue;
      const { keyId, number, ...data } = secretVersionRowOf(after, version);
      await this.db.secretVersion.updateMany({ where: { keyId, number }, data });
    }
    const added = after.secretVersions.filter(({ number }) => !old.has(number));
    await insertRows(
      this.db,
      "secret_version",
      added.map((version) => newVersionRow(after, version)),
    );
  }
}

/**
 * Inserts rows by multi-row statements: a tenth of what Prisma's `createMany` costs. The columns are the rows' names in
 * snake case, as the models map them.
 */
export async function insertRows<R extends Readonly<Record<string, unknown>>>(
  db: Db,
  table: string,
  rows: readonly R[],
): Promise<void> {
  const [first] = rows;
  if (first === undefined) return;
  const names = Object.keys(first);
  const into = Prisma.raw(`${table} (${names.map(columnOf).join(", ")})`);
  for (let start = 0; start < rows.length; start += insertRowsMax) {
    const values = rows
      .slice(start, start + insertRowsMax)
      .map((row) => Prisma.sql`(${Prisma.join(names.map((name) => row[name]))})`);
    await db.$executeRaw`INSERT INTO ${into} VALUES ${Prisma.join(values)}`;
  }
}

const unused = { lastUsedTimeMs: 0n, useCount: 0n };

function newVersionRow(key: ApiKey, version: SecretVersion) {
  return { ...secretVersionRowOf(key, version), ...unused };
}

function sameVersion(a: SecretVersion, b: SecretVersion): boolean {
  return a.graceEndTimeMs === b.graceEndTimeMs && a.pepperId === b.pepperId && Buffer.compare(a.digest, b.digest) === 0;
}

function requireOne({ count }: { readonly count: number }, id: string): void {
  if (count !== 1) throw new Error(`no row ${id}`);
}
