import type { ApiKey } from "../core/api-key.ts";
import type { ChangeRow, Head } from "../core/change.ts";
import type { KeyId, TenantId } from "../core/ids.ts";
import type { Tenant } from "../core/tenant.ts";
import { requiredHead } from "./head-row.ts";
import { changesSql, digestSql, forMysql, headSql, keySql, tenantSql } from "./hot-read-sql.ts";
import type { MysqlPool } from "./mysql-pool.ts";
import type { HotReads, KeyOfDigest } from "./port.ts";
import { changeRowsOf, type KeyWithVersionRow, keyOfRows, type LogRow, type TenantRow, tenantOf } from "./rows.ts";

const statements = {
  tenant: forMysql(tenantSql),
  key: forMysql(keySql),
  digest: forMysql(digestSql),
  head: forMysql(headSql),
  changes: forMysql(changesSql),
};

/** Digests in one statement. */
const digestsMax = 500;

/** The hot reads, by statements that each connection prepares once. */
export class MysqlReads implements HotReads {
  readonly #pool: MysqlPool;

  constructor(pool: MysqlPool) {
    this.#pool = pool;
  }

  async getTenant(id: TenantId): Promise<Tenant | undefined> {
    const [row] = await this.#pool.execute<TenantRow[]>(statements.tenant, [id]);
    return row && tenantOf(row);
  }

  async getKey(id: KeyId): Promise<ApiKey | undefined> {
    return keyOfRows(await this.#pool.execute<KeyWithVersionRow[]>(statements.key, [id]));
  }

  async keysOfDigests(tenantId: TenantId, digests: readonly Uint8Array[]): Promise<readonly KeyOfDigest[]> {
    const [digest] = digests;
    if (digest === undefined) return [];
    if (digests.length === 1) {
      return this.#pool.execute<KeyOfDigest[]>(statements.digest, [tenantId, Buffer.from(digest)]);
    }
    const found: KeyOfDigest[] = [];
    for (let at = 0; at < digests.length; at += digestsMax) {
      const some = digests.slice(at, at + digestsMax).map((one) => Buffer.from(one));
      const sql = statements.digest.replace("digest = ?", `digest IN (${some.map(() => "?").join(", ")})`);
      // Not prepared: lists have many lengths.
      found.push(...(await this.#pool.query<KeyOfDigest[]>(sql, [tenantId, ...some])));
    }
    return found;
  }

  async head(): Promise<Head> {
    const [head] = await this.#pool.execute<Head[]>(statements.head);
    return requiredHead(head);
  }

  async changesAfter(after: bigint, limit: number): Promise<readonly ChangeRow[]> {
    return changeRowsOf(await this.#pool.execute<LogRow[]>(statements.changes, [after, limit]));
  }
}
