import type Database from "better-sqlite3";
import type { ApiKey } from "../core/api-key.ts";
import type { ChangeRow, Head } from "../core/change.ts";
import type { KeyId } from "../core/ids.ts";
import type { StoreReads } from "./port.ts";
import { changeRowsOf, type KeyRow, keyOf, type LogRow, type SecretVersionRow } from "./rows.ts";
import type { SqliteConnections } from "./sqlite-connections.ts";

interface KeyWithVersionRow extends KeyRow {
  readonly versionNumber: number;
  readonly versionDigest: Uint8Array;
  readonly versionPepperId: string;
  readonly versionCreateTimeMs: number;
  readonly versionGraceEndTimeMs: number | null;
}

// One statement, so that the key and its versions are of one moment.
const keySql = `
  SELECT k.id, k.tenant_id AS tenantId, k.name, k.owner_id AS ownerId, k.scopes, k.metadata, k.labels, k.state,
    k.visibility, k.kind, k.prefix, k.create_time_ms AS createTimeMs, k.update_time_ms AS updateTimeMs,
    k.expire_time_ms AS expireTimeMs, k.allowed_cidrs AS allowedCidrs, k.constraints, k.token_epoch AS tokenEpoch, k.derive_policy AS derivePolicy,
    k.revocation_reason AS revocationReason, k.revocation_comment AS revocationComment,
    k.revocation_time_ms AS revocationTimeMs, k.revision,
    v.number AS versionNumber, v.digest AS versionDigest, v.pepper_id AS versionPepperId,
    v.create_time_ms AS versionCreateTimeMs, v.grace_end_time_ms AS versionGraceEndTimeMs
  FROM api_key k JOIN secret_version v ON v.key_id = k.id
  WHERE k.id = ?
  ORDER BY v.number DESC`;

const headSql = "SELECT revision, hash, store_epoch AS storeEpoch FROM store_head WHERE id = 'head'";

const changesSql = `
  SELECT revision, hash, commit_time_ms AS commitTimeMs, payload FROM change_log
  WHERE revision > ? AND payload IS NOT NULL ORDER BY revision LIMIT ?`;

/** The hot reads, by prepared statements on the read-only connection. */
export class SqliteReads implements Pick<StoreReads, "head" | "getKey" | "changesAfter"> {
  readonly #connections: SqliteConnections;
  readonly #key: (id: KeyId) => ApiKey | undefined;
  readonly #head: Database.Statement<[], { revision: bigint; hash: Uint8Array; storeEpoch: string }>;
  readonly #changes: Database.Statement<[bigint, number], LogRow>;

  constructor(connections: SqliteConnections) {
    const { reader } = connections;
    this.#connections = connections;
    this.#key = keyReader(reader);
    this.#head = reader
      .prepare<[], { revision: bigint; hash: Uint8Array; storeEpoch: string }>(headSql)
      .safeIntegers(true);
    this.#changes = reader.prepare<[bigint, number], LogRow>(changesSql).safeIntegers(true);
  }

  getKey(id: KeyId): Promise<ApiKey | undefined> {
    return this.#connections.read(() => this.#key(id));
  }

  // The tail asks for these two at each poll, so that a database that is gone is noticed by readers too.
  async head(): Promise<Head> {
    this.#connections.requirePresent();
    const head = await this.#connections.read(() => this.#head.get());
    if (head === undefined) throw new Error("the store has no head row");
    return head;
  }

  async changesAfter(after: bigint, limit: number): Promise<readonly ChangeRow[]> {
    this.#connections.requirePresent();
    return changeRowsOf(await this.#connections.read(() => this.#changes.all(after, limit)));
  }
}

/** Prepares the read of a key on one connection: what it sees is what that connection sees. */
export function keyReader(connection: Database.Database): (id: KeyId) => ApiKey | undefined {
  const statement = connection.prepare<[string], KeyWithVersionRow>(keySql).safeIntegers(false);
  return (id) => {
    const rows = statement.all(id);
    const [row] = rows;
    return row === undefined ? undefined : keyOf(row, rows.map(versionOf));
  };
}

function versionOf(row: KeyWithVersionRow): SecretVersionRow {
  return {
    number: row.versionNumber,
    digest: row.versionDigest,
    pepperId: row.versionPepperId,
    createTimeMs: row.versionCreateTimeMs,
    graceEndTimeMs: row.versionGraceEndTimeMs,
  };
}
