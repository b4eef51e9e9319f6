// How soon a revocation at one server is known at another, by what wakes them. Two real servers on one database; over each
// round a key is issued at A, verified at B, revoked at A, and verified at B until B refuses it. No part of `run.mjs`, which
// prints ratios: these are times.
//
//   node bench/replicas.mjs --database postgresql://user@127.0.0.1/empty_database [--redis redis://127.0.0.1:6379]
//     [--wake-ups off] [--rounds 200]
import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { machineFacts } from "./lib/machine.mjs";

const { values } = parseArgs({
  options: {
    database: { type: "string" },
    redis: { type: "string" },
    "wake-ups": { type: "string", default: "on" },
    rounds: { type: "string", default: "200" },
  },
});
if (values.database === undefined) throw new Error("--database names an empty database");

const main = fileURLToPath(new URL("../dist/services/main.js", import.meta.url));
const dataDir = mkdtempSync(join(tmpdir(), "ichor-bench-replicas-"));
const masterKeyFile = join(dataDir, "shared.key");
writeFileSync(masterKeyFile, `${randomBytes(32).toString("base64")}\n`, { mode: 0o600 });

const a = await start();
const b = await start();
const credential = readFileSync(join(dataDir, "root.key"), "utf8").trim();
try {
  const times = { issue: [], "revoke (answered)": [], "answered at A, then refused at B": [] };
  for (let i = 0; i < Number(values.rounds); i++) {
    const issued = await timed(times.issue, () => call(a, "IssueApiKey", { name: `key ${i}` }));
    const verify = () => call(b, "VerifyCredential", { credential: issued.credential });
    if (!(await verify()).valid) throw new Error("B doesn't know a key that A issued");
    await timed(times["revoke (answered)"], () => call(a, "RevokeApiKey", { keyId: issued.apiKey.id }));
    await timed(times["answered at A, then refused at B"], async () => {
      while ((await verify()).valid);
    });
  }
  console.log(JSON.stringify(machineFacts()));
  console.table(Object.fromEntries(Object.entries(times).map(([name, list]) => [name, summaryOf(list)])));
} finally {
  for (const { child } of [a, b]) child.kill();
  rmSync(dataDir, { recursive: true, force: true });
}

async function start() {
  const own = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("ICHOR_")));
  const env = {
    ...own,
    ICHOR_DATA_DIR: dataDir,
    ICHOR_LISTEN: "127.0.0.1:0",
    ICHOR_DATABASE_URL: values.database,
    ICHOR_MASTER_KEY_FILE: masterKeyFile,
    ICHOR_WAKE_UPS: values["wake-ups"],
    ...(values.redis && { ICHOR_REDIS_URL: values.redis }),
  };
  const child = spawn(process.execPath, [main, "serve"], { env, stdio: ["ignore", "pipe", "inherit"] });
  const url = await new Promise((resolve, reject) => {
    createInterface({ input: child.stdout }).on("line", (line) => {
      const { msg, address } = JSON.parse(line);
      if (msg === "listening") resolve(address);
    });
    child.once("close", (status) => reject(new Error(`the server ended with ${status}`)));
  });
  return { child, url };
}

async function call({ url }, method, body) {
  const response = await fetch(`${url}/ichor.v1.AdminService/${method}`, {
    method: "POST",
    headers: { "content-type": "application/json", authorization: `Bearer ${credential}` },
    body: JSON.stringify(body),
  });
  const answer = await response.json();
  if (response.status !== 200) throw new Error(`${method}: ${JSON.stringify(answer)}`);
  return answer;
}

async function timed(list, work) {
  const begunMs = performance.now();
  const result = await work();
  list.push(performance.now() - begunMs);
  return result;
}

function summaryOf(list) {
  const sorted = [...list].sort((x, y) => x - y);
  const at = (share) => Number(sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))].toFixed(1));
  return { "p50 ms": at(0.5), "p99 ms": at(0.99), "max ms": at(1) };
}
