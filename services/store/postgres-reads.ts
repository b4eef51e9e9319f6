import type { Pool } from "pg";
import type { ApiKey } from "../core/api-key.ts";
import type { ChangeRow, Head } from "../core/change.ts";
import type { KeyId, TenantId } from "../core/ids.ts";
import type { Tenant } from "../core/tenant.ts";
import { requiredHead } from "./head-row.ts";
import { changesSql, digestSql, forPostgres, headSql, keySql, tenantSql } from "./hot-read-sql.ts";
import type { HotReads, KeyOfDigest } from "./port.ts";
import { postgresTypes } from "./postgres-pool.ts";
import { changeRowsOf, type KeyWithVersionRow, keyOfRows, type LogRow, type TenantRow, tenantOf } from "./rows.ts";
import type { ServerLimits } from "./server-limits.ts";

const statements = {
  ichor_tenant: forPostgres(tenantSql),
  ichor_key: forPostgres(keySql),
  ichor_digests: forPostgres(digestSql.replace("digest = ?", "digest = ANY(?)")),
  ichor_head: forPostgres(headSql),
  ichor_changes: forPostgres(changesSql),
};

/** The hot reads, by statements that each connection prepares once. */
export class PostgresReads implements HotReads {
  readonly #pool: Pool;
  readonly #limits: ServerLimits;

  constructor(pool: Pool, limits: ServerLimits) {
    this.#pool = pool;
    this.#limits = limits;
  }

  async getTenant(id: TenantId): Promise<Tenant | undefined> {
    const [row] = await this.#rows<TenantRow>("ichor_tenant", [id]);
    return row && tenantOf(row);
  }

  async getKey(id: KeyId): Promise<ApiKey | undefined> {
    return keyOfRows(await this.#rows<KeyWithVersionRow>("ichor_key", [id]));
  }

  async keysOfDigests(tenantId: TenantId, digests: readonly Uint8Array[]): Promise<readonly KeyOfDigest[]> {
    return this.#rows<KeyOfDigest>("ichor_digests", [tenantId, digests.map((digest) => Buffer.from(digest))]);
  }

  async head(): Promise<Head> {
    const [head] = await this.#rows<Head>("ichor_head", []);
    return requiredHead(head);
  }

  async changesAfter(after: bigint, limit: number): Promise<readonly ChangeRow[]> {
    return changeRowsOf(await this.#rows<LogRow>("ichor_changes", [after, limit]));
  }

  /** A connection whose answer doesn't come is given up, and not used again. */
  async #rows<R extends object>(name: keyof typeof statements, values: readonly unknown[]): Promise<readonly R[]> {
    const { rows } = await this.#pool.query<R>({
      name,
      text: statements[name],
      values: [...values],
      types: postgresTypes,
      ...({ query_timeout: this.#limits.silenceMs } as object),
    });
    return rows;
  }
}
