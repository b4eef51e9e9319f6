import type { Pool } from "mariadb";
import type { ApiKey } from "../core/api-key.ts";
import type { ChangeRow, Head } from "../core/change.ts";
import type { KeyId, TenantId } from "../core/ids.ts";
import { changesSql, digestSql, forMysql, headSql, keySql } from "./hot-read-sql.ts";
import type { HotReads, KeyOfDigest } from "./port.ts";
import { changeRowsOf, type KeyWithVersionRow, keyOfRows, type LogRow } from "./rows.ts";

const statements = {
  key: forMysql(keySql),
  digest: forMysql(digestSql),
  head: forMysql(headSql),
  changes: forMysql(changesSql),
};

/** The hot reads, by statements that each connection prepares once. */
export class MysqlReads implements HotReads {
  readonly #pool: Pool;

  constructor(pool: Pool) {
    this.#pool = pool;
  }

  async getKey(id: KeyId): Promise<ApiKey | undefined> {
    return keyOfRows(await this.#pool.execute<KeyWithVersionRow[]>(statements.key, [id]));
  }

  async keysOfDigests(tenantId: TenantId, digests: readonly Uint8Array[]): Promise<readonly KeyOfDigest[]> {
    const found = digests.map((digest) =>
      this.#pool.execute<KeyOfDigest[]>(statements.digest, [tenantId, Buffer.from(digest)]),
    );
    return (await Promise.all(found)).flat();
  }

  async head(): Promise<Head> {
    const [head] = await this.#pool.execute<Head[]>(statements.head);
    if (head === undefined) throw new Error("the store has no head row");
    return head;
  }

  async changesAfter(after: bigint, limit: number): Promise<readonly ChangeRow[]> {
    return changeRowsOf(await this.#pool.execute<LogRow[]>(statements.changes, [after, limit]));
  }
}
