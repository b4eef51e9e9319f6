import type Database from "better-sqlite3";
import type { ApiKey } from "../core/api-key.ts";
import type { ChangeRow, Head } from "../core/change.ts";
import type { KeyId, TenantId } from "../core/ids.ts";
import type { Tenant } from "../core/tenant.ts";
import { requiredHead } from "./head-row.ts";
import { changesSql, digestSql, headSql, keySql, tenantSql } from "./hot-read-sql.ts";
import type { HotReads, KeyOfDigest } from "./port.ts";
import { changeRowsOf, type KeyWithVersionRow, keyOfRows, type LogRow, type TenantRow, tenantOf } from "./rows.ts";
import type { SqliteConnections } from "./sqlite-connections.ts";

/** The hot reads, by prepared statements on the read-only connection. */
export class SqliteReads implements HotReads {
  readonly #connections: SqliteConnections;
  readonly #key: (id: KeyId) => ApiKey | undefined;
  readonly #tenant: Database.Statement<[string], TenantRow>;
  readonly #head: Database.Statement<[], { revision: bigint; hash: Uint8Array; storeEpoch: string }>;
  readonly #digests: (tenantId: TenantId, digests: readonly Uint8Array[]) => readonly KeyOfDigest[];
  readonly #changes: Database.Statement<[bigint, number], LogRow>;

  constructor(connections: SqliteConnections) {
    const { reader } = connections;
    this.#connections = connections;
    this.#key = keyReader(reader);
    this.#tenant = reader.prepare<[string], TenantRow>(tenantSql).safeIntegers(false);
    this.#head = reader
      .prepare<[], { revision: bigint; hash: Uint8Array; storeEpoch: string }>(headSql)
      .safeIntegers(true);
    const digest = reader.prepare<[string, Uint8Array], KeyOfDigest>(digestSql);
    // Of one moment: a secret that is bound to another pepper between two of them would be seen under neither.
    this.#digests = reader.transaction((tenantId: TenantId, digests: readonly Uint8Array[]) =>
      digests.flatMap((one) => digest.all(tenantId, one)),
    );
    this.#changes = reader.prepare<[bigint, number], LogRow>(changesSql).safeIntegers(true);
  }

  async getTenant(id: TenantId): Promise<Tenant | undefined> {
    const row = await this.#connections.read(() => this.#tenant.get(id));
    return row && tenantOf(row);
  }

  getKey(id: KeyId): Promise<ApiKey | undefined> {
    return this.#connections.read(() => this.#key(id));
  }

  async keysOfDigests(tenantId: TenantId, digests: readonly Uint8Array[]): Promise<readonly KeyOfDigest[]> {
    return this.#connections.read(() => this.#digests(tenantId, digests));
  }

  // The tail asks for these two at each poll, so that a database that is gone is noticed by readers too.
  async head(): Promise<Head> {
    this.#connections.requirePresent();
    const head = await this.#connections.read(() => this.#head.get());
    return requiredHead(head);
  }

  async changesAfter(after: bigint, limit: number): Promise<readonly ChangeRow[]> {
    this.#connections.requirePresent();
    return changeRowsOf(await this.#connections.read(() => this.#changes.all(after, limit)));
  }
}

/** Prepares the read of a key on one connection: what it sees is what that connection sees. */
export function keyReader(connection: Database.Database): (id: KeyId) => ApiKey | undefined {
  const statement = connection.prepare<[string], KeyWithVersionRow>(keySql).safeIntegers(false);
  return (id) => keyOfRows(statement.all(id));
}
