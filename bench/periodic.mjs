// What the work by the clock costs a server that finds nothing to do, which is what every server but one finds: one look of
// everything, over and over, on a store that is there already. No part of `run.mjs`, which prints ratios: these are costs.
//
//   node bench/periodic.mjs --database postgresql://user@127.0.0.1/a_store --master-key-file FILE [--looks 100]
import { randomBytes } from "node:crypto";
import { parseArgs } from "node:util";
import { tendChanges } from "../dist/services/changes/tend-changes.js";
import { Keyring } from "../dist/services/keyring/keyring.js";
import { loadMasterKeys } from "../dist/services/keyring/master-key.js";
import { tendKeys } from "../dist/services/keyring/tend-keys.js";
import { purgeDeadKeys } from "../dist/services/mutation/purge-dead-keys.js";
import { openStore } from "../dist/services/store/open-store.js";
import { machineFacts } from "./lib/machine.mjs";

const { values } = parseArgs({
  options: {
    database: { type: "string" },
    "master-key-file": { type: "string" },
    looks: { type: "string", default: "100" },
  },
});
if (values.database === undefined) throw new Error("--database names a store");

const log = { info() {}, warn() {}, error() {} };
const now = Date.now;
const store = await openStore({ url: values.database, migrate: false, clock: { now }, random: randomBytes, log });
const masterKeys = loadMasterKeys(values["master-key-file"]);
const keyring = new Keyring({ store, masterKeys, random: randomBytes, now, followed: { ageMs: () => 0 } });
const works = {
  "keys and tokens, each minute": () => tendKeys({ store, keyring, now, log }),
  "change log and subscriptions, each minute": async () => {
    await tendChanges({ store, now });
    await store.subscriptions.forgetUnseen(now() - 86_400_000);
  },
  "repeats of requests, each minute": () => store.tendIdempotencyRecords(now(), 500),
  "dead keys, each ten minutes": () =>
    purgeDeadKeys({ store, now, monotonicMs: () => performance.now(), rest: async () => {}, log }),
  "other servers, each second": () => store.subscriptions.listServers(),
};
const costs = {};
for (const [name, work] of Object.entries(works)) {
  for (let i = 0; i < 10; i++) await work();
  const begunMs = performance.now();
  const begun = process.cpuUsage();
  for (let i = 0; i < Number(values.looks); i++) await work();
  const { user, system } = process.cpuUsage(begun);
  const per = (ms) => Number((ms / Number(values.looks)).toFixed(2));
  costs[name] = { "CPU here, ms": per((user + system) / 1000), "wall, ms": per(performance.now() - begunMs) };
}
console.log(JSON.stringify(machineFacts()));
console.table(costs);
await store.close();
