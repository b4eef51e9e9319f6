import { createHash } from "node:crypto";
import { join } from "node:path";
import Database from "better-sqlite3";
import { formatIssuedKey, parseIssuedKey } from "../../dist/services/core/credential.js";
import { issuedDigest } from "../../dist/services/core/digest.js";
import { newId } from "../../dist/services/core/ids.js";
import { loadMasterKeys } from "../../dist/services/keyring/master-key.js";
import { loadPeppers } from "../../dist/services/keyring/peppers.js";
import { withStore } from "../../dist/services/store/with-store.js";

const sampled = 20_000;

/**
 * Multiplies an issued key in the database itself, which is some twenty times as fast as to import as many: copies of its
 * rows with ids and digests of their own. Gives random ones of their credentials.
 */
export async function storeKeys(dataDir, credential, count) {
  const { keyId, prefix } = parseIssuedKey(credential);
  const pepper = await currentPepper(dataDir);
  const store = new Database(join(dataDir, "ichor.db"));
  store.pragma("cache_size = -262144");
  store.pragma("synchronous = OFF");
  const copyKey = copyOf(store, "api_key", "id", keyId);
  const copyVersion = copyOf(store, "secret_version", "key_id", keyId);
  const copyScope = copyOf(store, "key_scope", "key_id", keyId);
  const firstMs = Date.now() - count;
  const secretOf = (i) => createHash("sha256").update(`key ${i}`).digest();
  const idOf = (i) => newId("key", firstMs + i, secretOf(i).subarray(0, 10));
  for (let start = 0; start < count; start += 50_000) {
    store.transaction(() => {
      for (let i = start; i < Math.min(start + 50_000, count); i++) {
        const id = idOf(i);
        copyKey({ id });
        copyVersion({ key_id: id, digest: issuedDigest(pepper, copyKey.row.tenant_id, id, secretOf(i)) });
        copyScope({ key_id: id });
      }
    })();
  }
  store.pragma("wal_checkpoint(TRUNCATE)");
  store.close();
  return Array.from({ length: sampled }, () => {
    const i = Math.floor(Math.random() * count);
    return formatIssuedKey(prefix, idOf(i), secretOf(i));
  });
}

/** Inserts the one row of the key again, with other values in some of its columns. */
function copyOf(store, table, keyColumn, keyId) {
  const row = store.prepare(`SELECT * FROM ${table} WHERE ${keyColumn} = ?`).safeIntegers().get(keyId);
  const columns = Object.keys(row);
  const insert = store.prepare(`INSERT INTO ${table} VALUES (${columns.map((column) => `@${column}`).join(", ")})`);
  return Object.assign((changes) => insert.run({ ...row, ...changes }), { row });
}

async function currentPepper(dataDir) {
  const url = `file:${join(dataDir, "ichor.db")}`;
  const masterKeys = loadMasterKeys(join(dataDir, "master.key"));
  const options = { url, migrate: false, now: Date.now, random: () => new Uint8Array(16) };
  const { secrets: peppers } = await withStore(options, (store) => loadPeppers(store, masterKeys, Date.now()));
  return peppers.current();
}
