import type { KeyId, TenantId, TokenId } from "../core/ids.ts";
import { type KeyMarkStatus, markNumber } from "../core/key-set/key-mark.ts";
import { packIds } from "../core/key-set/key-set-delta.ts";
import type { KeySetStore } from "./key-set-port.ts";
import { tenantOf } from "./rows.ts";
import type { SqliteConnections } from "./sqlite-connections.ts";
import { type SigningKeyRow, signingKeyOf } from "./token-rows.ts";

type HeadRow = { revision: bigint; hash: Uint8Array; storeEpoch: string };
type MarkRow = readonly [keyId: KeyId, status: KeyMarkStatus, tokenEpoch: bigint];

const headSql = "SELECT revision, hash, store_epoch AS storeEpoch FROM store_head WHERE id = 'head'";
const tenantSql = `
  SELECT id, slug, name, state, settings, create_time_ms AS createTimeMs, update_time_ms AS updateTimeMs,
    tokens_issued_before_ms AS tokensIssuedBeforeMs
  FROM tenant WHERE id = ?`;
const marksSql = "SELECT key_id, status, token_epoch FROM key_mark WHERE tenant_id = ?";
const tokensSql = "SELECT token_id FROM token_revocation WHERE tenant_id = ?";
const signingKeysSql = `
  SELECT id, tenant_id AS tenantId, kid, algorithm, state, public_jwk AS publicJwk, create_time_ms AS createTimeMs,
    activate_time_ms AS activateTimeMs, retire_time_ms AS retireTimeMs, remove_time_ms AS removeTimeMs,
    due_time_ms AS dueTimeMs
  FROM signing_key WHERE tenant_id = ? ORDER BY id DESC`;

/** Reads key sets in one read transaction of the reader, past Prisma, whose transactions are the writer's. */
export function sqliteKeySetReader(connections: SqliteConnections): KeySetStore["loadKeySet"] {
  const { reader } = connections;
  const head = reader.prepare<[], HeadRow>(headSql).safeIntegers(true);
  const tenantRow = reader.prepare<[string], Parameters<typeof tenantOf>[0]>(tenantSql);
  const markRows = reader.prepare<[string], MarkRow>(marksSql).raw(true);
  const tokenIds = reader.prepare<[string], TokenId>(tokensSql).pluck(true);
  const signingKeyRows = reader.prepare<[string], SigningKeyRow>(signingKeysSql).safeIntegers(true);
  const read = reader.transaction((tenantId: TenantId) => {
    const at = head.get();
    if (at === undefined) throw new Error("the store has no head row");
    const tenant = tenantRow.get(tenantId);
    if (tenant === undefined) return undefined;
    const marks = markRows.all(tenantId);
    return {
      head: at,
      tenant: tenantOf(tenant),
      markedKeys: packIds(marks.map(([keyId]) => keyId)),
      marks: marks.map(([, status, tokenEpoch]) => markNumber({ status, tokenEpoch: Number(tokenEpoch) })),
      revokedTokens: packIds(tokenIds.all(tenantId)),
      signingKeys: signingKeyRows.all(tenantId).map(signingKeyOf),
    };
  });
  return (tenantId) => connections.read(() => read(tenantId));
}
