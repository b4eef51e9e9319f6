import type { Database } from "better-sqlite3";
import type { TenantId } from "../core/ids.ts";
import type { KeySetRecord, KeySetStore } from "./key-set-port.ts";
import { gatherMarks, gatherTokens, type MarkRow, type RevokedTokenRow } from "./key-set-rows.ts";
import { tenantOf } from "./rows.ts";
import { retryBusy } from "./sqlite-busy.ts";
import type { SqliteConnections } from "./sqlite-connections.ts";
import { type SigningKeyRow, signingKeyOf } from "./token-rows.ts";

type HeadRow = { revision: bigint; hash: Uint8Array; storeEpoch: string };

const headSql = "SELECT revision, hash, store_epoch AS storeEpoch FROM store_head WHERE id = 'head'";
const tenantSql = `
  SELECT id, slug, name, state, settings, create_time_ms AS createTimeMs, update_time_ms AS updateTimeMs,
    tokens_issued_before_ms AS tokensIssuedBeforeMs
  FROM tenant WHERE id = ?`;
const marksSql = `
  SELECT key_id AS keyId, status, token_epoch AS tokenEpoch
  FROM key_mark WHERE tenant_id = ? AND key_id > ? ORDER BY key_id LIMIT ?`;
const tokensSql = `
  SELECT key_id AS keyId, token_id AS tokenId
  FROM token_revocation WHERE tenant_id = ? AND (key_id, token_id) > (?, ?) ORDER BY key_id, token_id LIMIT ?`;
const signingKeysSql = `
  SELECT id, tenant_id AS tenantId, kid, algorithm, state, public_jwk AS publicJwk, create_time_ms AS createTimeMs,
    activate_time_ms AS activateTimeMs, retire_time_ms AS retireTimeMs, remove_time_ms AS removeTimeMs,
    due_time_ms AS dueTimeMs
  FROM signing_key WHERE tenant_id = ? ORDER BY id DESC`;

/** Reads key sets past Prisma, whose transactions are the writer's. */
export function sqliteKeySetReader(connections: SqliteConnections): KeySetStore["loadKeySet"] {
  return (tenantId) => connections.readAtLeisure((reader) => readKeySet(connections, reader, tenantId));
}

async function readKeySet(
  connections: SqliteConnections,
  reader: Database,
  tenantId: TenantId,
): Promise<KeySetRecord | undefined> {
  const head = reader.prepare<[], HeadRow>(headSql).safeIntegers(true);
  // The first read decides what moment the others see, and the only one that a lock may be in the way of.
  const at = await retryBusy(() => head.get(), performance.now() + connections.lockWaitMs);
  if (at === undefined) throw new Error("the store has no head row");
  const tenant = reader.prepare<[string], Parameters<typeof tenantOf>[0]>(tenantSql).get(tenantId);
  if (tenant === undefined) return undefined;
  const marks = reader.prepare<[string, string, number], MarkRow>(marksSql);
  const tokens = reader.prepare<[string, string, string, number], RevokedTokenRow>(tokensSql);
  return {
    head: at,
    tenant: tenantOf(tenant),
    ...(await gatherMarks((after, limit) => marks.all(tenantId, after.keyId, limit))),
    revokedTokens: await gatherTokens((after, limit) => tokens.all(tenantId, after.keyId, after.tokenId, limit)),
    signingKeys: reader
      .prepare<[string], SigningKeyRow>(signingKeysSql)
      .safeIntegers(true)
      .all(tenantId)
      .map(signingKeyOf),
  };
}
