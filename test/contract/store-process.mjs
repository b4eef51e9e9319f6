// A process of its own on the built store, for tests with several: `node store-process.mjs <mode> <url> <data dir> [count]`.
// It says "ready", waits for a line on its input, works, and says what it did, one JSON value a line.
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { join } from "node:path";

const [mode, url, dataDir, count] = process.argv.slice(2);
const built = new URL("../../dist/services/", import.meta.url);
const [{ openStore }, { bootstrap }, { createMasterKeyFile, loadMasterKeys }, { newId }] = await Promise.all(
  ["store/open-store.js", "bootstrap.js", "keyring/master-key.js", "core/ids.js"].map(
    (name) => import(new URL(name, built)),
  ),
);
const log = { info() {}, error() {} };
const deps = { clock: { now: Date.now }, random: randomBytes, log };
const say = (value) => process.stdout.write(`${JSON.stringify(value)}\n`);

say("ready");
await once(process.stdin, "data");
await { start, write, crowd }[mode]();
process.stdin.destroy();

/** The whole first start, master key included. */
async function start() {
  const store = await openStore({ url, migrate: true, ...deps });
  const masterKeyFile = join(dataDir, "master.key");
  createMasterKeyFile(masterKeyFile, randomBytes);
  await bootstrap({ store, masterKeys: loadMasterKeys(masterKeyFile), dataDir, ...deps });
  const { revision, storeEpoch } = await store.head();
  say({ revision: String(revision), storeEpoch });
  await store.close();
}

/** Mutations one after the other, each told once it is acknowledged. */
async function write() {
  const store = await openStore({ url, migrate: false, ...deps });
  await mutate(store, Number(count));
  await store.close();
}

/** The same by twenty at once. */
async function crowd() {
  const store = await openStore({ url, migrate: false, ...deps });
  await Promise.all(Array.from({ length: 20 }, () => mutate(store, Number(count) / 20)));
  await store.close();
}

async function mutate(store, times) {
  for (let i = 0; i < times; i++) {
    const tenantId = newId("ten", Date.now(), randomBytes(10));
    const { revision } = await store.mutate(async () => ({
      result: undefined,
      change: { kind: "tenant", tenantId, event: "changed" },
      audit: { tenantId, action: "UpdateTenant", target: tenantId, address: "", requestId: "" },
    }));
    say({ revision: String(revision), tenantId });
  }
}
