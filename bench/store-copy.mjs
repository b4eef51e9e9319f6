// Copies a store of many keys from SQLite to PostgreSQL to MariaDB and back to SQLite, and compares the digests of every
// table along the way. No part of `run.mjs`, which prints ratios: these are times.
//
//   node bench/store-copy.mjs --postgres postgresql://user@127.0.0.1/empty_database --mysql mysql://user@127.0.0.1/empty
//     [--keys 100000]
import { execFileSync, spawn } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { machineFacts } from "./lib/machine.mjs";

const { values } = parseArgs({
  options: { postgres: { type: "string" }, mysql: { type: "string" }, keys: { type: "string", default: "100000" } },
});
if (values.postgres === undefined || values.mysql === undefined)
  throw new Error("--postgres and --mysql name empty databases");

const main = fileURLToPath(new URL("../dist/services/main.js", import.meta.url));
const dataDir = mkdtempSync(join(tmpdir(), "ichor-bench-copy-"));
const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("ICHOR_")));
try {
  await fill(Number(values.keys));
  const way = [`file:${join(dataDir, "ichor.db")}`, values.postgres, values.mysql, `file:${join(dataDir, "back.db")}`];
  const steps = [];
  const contents = [];
  for (const [i, from] of way.slice(0, -1).entries()) {
    const to = way[i + 1];
    const begunMs = performance.now();
    // What the first copy writes into its target, an audit event of itself, is no difference: the next copy reads it too.
    const report = JSON.parse(
      execFileSync(process.execPath, [main, "--json", "store", "copy", "--from", from, "--to", to], {
        env,
        encoding: "utf8",
        stdio: ["ignore", "pipe", "inherit"],
        maxBuffer: 1 << 24,
      }),
    );
    const rows = report.tables.reduce((sum, table) => sum + table.rows, 0);
    const seconds = (performance.now() - begunMs) / 1000;
    steps.push({ from: nameOf(from), to: nameOf(to), rows, seconds: Number(seconds.toFixed(1)) });
    contents.push(new Map(report.tables.map(({ table, rows: count, digest }) => [table, `${count} ${digest}`])));
  }
  console.log(JSON.stringify(machineFacts()));
  console.table(steps);
  // Each copy adds one entry to the log of its target; all else is as it was at the beginning.
  const grows = ["change_log", "audit_event"];
  const differing = [...contents[0].keys()].filter(
    (table) => !grows.includes(table) && contents.some((one) => one.get(table) !== contents[0].get(table)),
  );
  console.log(differing.length === 0 ? "every table is equal all the way" : `DIFFERENT: ${differing.join(", ")}`);
  if (differing.length > 0) process.exitCode = 1;
} finally {
  rmSync(dataDir, { recursive: true, force: true });
}

/** Imports keys through a server, by their SHA-256, a thousand at a time. */
async function fill(count) {
  const child = spawn(process.execPath, [main, "serve"], {
    env: { ...env, ICHOR_DATA_DIR: dataDir, ICHOR_LISTEN: "127.0.0.1:0" },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const ended = new Promise((resolve) => child.once("close", resolve));
  const url = await new Promise((resolve, reject) => {
    createInterface({ input: child.stdout }).on("line", (line) => {
      const { msg, address } = JSON.parse(line);
      if (msg === "listening") resolve(address);
    });
    ended.then((status) => reject(new Error(`the server ended with ${status}`)));
  });
  const credential = readFileSync(join(dataDir, "root.key"), "utf8").trim();
  for (let done = 0; done < count; done += 1000) {
    const items = Array.from({ length: Math.min(1000, count - done) }, (_, i) => ({
      sha256: createHash("sha256").update(randomBytes(32)).digest("base64"),
      name: `key ${done + i}`,
      ownerId: `owner ${(done + i) % 1000}`,
      scopes: ["invoices:read", `team:${(done + i) % 50}`],
      labels: { env: "prod", team: `t${(done + i) % 50}` },
    }));
    const response = await fetch(`${url}/ichor.v1.AdminService/BatchImportApiKeys`, {
      method: "POST",
      headers: { "content-type": "application/json", authorization: `Bearer ${credential}` },
      body: JSON.stringify({ items }),
    });
    if (response.status !== 200) throw new Error(JSON.stringify(await response.json()));
  }
  child.kill();
  await ended;
}

function nameOf(url) {
  return url.slice(0, url.indexOf(":"));
}
