// A server's periodic work as a process of its own, with a clock that its parent sets: `node rotation-process.mjs <url>
// <master key file>`. It says "ready"; for each line on its input, a time in ms, it does all that is due by then and
// says "done".
import { randomBytes } from "node:crypto";
import { createInterface } from "node:readline";

const [url, masterKeyFile] = process.argv.slice(2);
const built = new URL("../../dist/services/", import.meta.url);
const [{ openStore }, { loadMasterKeys }, { Keyring }, { tendKeys }] = await Promise.all(
  ["store/open-store.js", "keyring/master-key.js", "keyring/keyring.js", "keyring/tend-keys.js"].map(
    (name) => import(new URL(name, built)),
  ),
);
let nowMs = 0;
const now = () => nowMs;
const log = { info() {}, error() {} };
const store = await openStore({ url, migrate: false, clock: { now }, random: randomBytes, log });
const followed = { ageMs: () => 0 };
const masterKeys = loadMasterKeys(masterKeyFile);
const keyring = new Keyring({ store, masterKeys, random: randomBytes, now, followed });

process.stdout.write("ready\n");
for await (const line of createInterface({ input: process.stdin })) {
  nowMs = Number(line);
  await tendKeys({ store, keyring, now, log });
  process.stdout.write("done\n");
}
await store.close();
