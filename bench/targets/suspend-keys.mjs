import { randomBytes } from "node:crypto";
import { join } from "node:path";
import Database from "better-sqlite3";
import { newId } from "../../dist/services/core/ids.js";

/** Makes as many keys suspended in an embedded store, for the key set alone: there are no such keys. */
export function suspendKeys(dataDir, count) {
  const store = new Database(join(dataDir, "ichor.db"));
  const { id: tenantId } = store.prepare("SELECT id FROM tenant WHERE slug = 'default'").get();
  const insert = store.prepare(
    "INSERT INTO key_mark (tenant_id, key_id, status, token_epoch) VALUES (?, ?, 'DISABLED', 0)",
  );
  const nowMs = Date.now();
  store.transaction(() => {
    for (let i = 0; i < count; i++) insert.run(tenantId, newId("key", nowMs + i, randomBytes(10)));
  })();
  store.close();
}
