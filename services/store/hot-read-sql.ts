// The statements of the hot reads, as SQLite and PostgreSQL read them but for the parameters.

// One statement, so that a key and its versions are of one moment.
const keysSelect = `
  SELECT k.id, k.tenant_id AS "tenantId", k.name, k.owner_id AS "ownerId", k.scopes, k.metadata, k.labels, k.state,
    k.visibility, k.kind, k.prefix, k.create_time_ms AS "createTimeMs", k.update_time_ms AS "updateTimeMs",
    k.expire_time_ms AS "expireTimeMs", k.allowed_cidrs AS "allowedCidrs", k.constraints,
    k.token_epoch AS "tokenEpoch", k.rate_limits AS "rateLimits", k.derive_policy AS "derivePolicy",
    k.revocation_reason AS "revocationReason", k.revocation_comment AS "revocationComment", k.revocation_time_ms AS "revocationTimeMs", k.revision,
    k.last_used_time_ms AS "lastUsedTimeMs", k.last_used_address AS "lastUsedAddress", k.use_count AS "useCount",
    v.number AS "versionNumber", v.digest AS "versionDigest", v.pepper_id AS "versionPepperId",
    v.create_time_ms AS "versionCreateTimeMs", v.grace_end_time_ms AS "versionGraceEndTimeMs",
    v.last_used_time_ms AS "versionLastUsedTimeMs", v.use_count AS "versionUseCount"
  FROM api_key k JOIN secret_version v ON v.key_id = k.id`;

/** Rows of a key, one per version, the newest first. */
export const keySql = `${keysSelect} WHERE k.id = ? ORDER BY v.number DESC`;

/** The same of several keys, whose ids stand between the two parts; the rows of each key are in order. */
export const keysSqlParts = [`${keysSelect} WHERE k.id IN (`, ") ORDER BY v.number DESC"] as const;

export const tenantSql = `
  SELECT id, slug, name, state, settings, create_time_ms AS "createTimeMs", update_time_ms AS "updateTimeMs",
    tokens_issued_before_ms AS "tokensIssuedBeforeMs"
  FROM tenant WHERE id = ?`;

/** For one digest, as there are few live peppers to look under. */
export const digestSql = `SELECT key_id AS "keyId", digest FROM secret_version WHERE tenant_id = ? AND digest = ?`;

export const headSql = `SELECT revision, hash, store_epoch AS "storeEpoch" FROM store_head WHERE id = 'head'`;

export const changesSql = `
  SELECT revision, hash, commit_time_ms AS "commitTimeMs", payload FROM change_log
  WHERE revision > ? AND payload IS NOT NULL ORDER BY revision LIMIT ?`;

/** The statement with PostgreSQL's numbered parameters. */
export function forPostgres(sql: string): string {
  let count = 0;
  return sql.replaceAll("?", () => `$${++count}`);
}

/** The statement with MySQL's quotes of names. */
export function forMysql(sql: string): string {
  return sql.replaceAll('"', "`");
}
