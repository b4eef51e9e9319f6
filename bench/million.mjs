// A million keys of another system in an embedded store, by the command line alone; prints what it costs.
//
//   node scripts/ensure-built.mjs && node bench/million.mjs [--keys 1000000] [--folder FOLDER]
//
// It takes some minutes and 1 GiB of disk. In turn: `ichor keys import` is interrupted once and goes on; ListApiKeys
// walks to the last page of 50; 10 000 random credentials are verified, each answer checked; memory is read in between.
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { createWriteStream, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { Agent, request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { machineFacts } from "./lib/machine.mjs";

const main = fileURLToPath(new URL("../dist/services/main.js", import.meta.url));
const { values } = parseArgs({ options: { keys: { type: "string", default: "1000000" }, folder: { type: "string" } } });
const count = Number(values.keys);
const folder = values.folder ?? mkdtempSync(join(tmpdir(), "ichor-million-"));
const dataDir = join(folder, "data");
const agent = new Agent({ keepAlive: true, maxSockets: 1 });
const pageSize = 50;

console.log(JSON.stringify(machineFacts()));
const file = join(folder, "keys.csv");
await writeKeys(file);
const server = await startServer();
try {
  const memory = [["at the start", server.rssMiB()]];
  await importInterrupted(file);
  memory.push(["after the import", server.rssMiB()]);
  await walkPages();
  memory.push(["after all pages", server.rssMiB()]);
  await verifyRandom();
  memory.push(["after the verifications", server.rssMiB()]);
  for (const [when, mebibytes] of memory) console.log(`memory of the server ${when}: ${mebibytes} MiB`);
} finally {
  server.stop();
  agent.destroy();
  if (values.folder === undefined) rmSync(folder, { recursive: true, force: true });
}

function credentialOf(i) {
  return `legacy-${createHash("sha256").update(`key ${i}`).digest("hex")}`;
}

async function writeKeys(path) {
  const out = createWriteStream(path);
  out.write("sha256,name,owner_id,scopes,labels.env,never_expires\n");
  for (let i = 0; i < count; i++) {
    const sha256 = createHash("sha256").update(credentialOf(i)).digest("hex");
    const line = `${sha256},key ${i},owner-${i % 5000},orders:read invoices:*,${i % 10 === 0 ? "test" : "prod"},true\n`;
    if (!out.write(line)) await new Promise((resolve) => out.once("drain", resolve));
  }
  await new Promise((resolve) => out.end(resolve));
}

async function startServer() {
  const env = { ...process.env, ICHOR_DATA_DIR: dataDir, ICHOR_LISTEN: "127.0.0.1:0", ICHOR_LOG_LEVEL: "info" };
  const child = spawn(process.execPath, [main, "serve"], { env, stdio: ["ignore", "pipe", "inherit"] });
  const lines = createInterface({ input: child.stdout });
  const url = await new Promise((resolve, reject) => {
    lines.on("line", (line) => {
      const address = /"address":"(http[^"]+)"/.exec(line)?.[1];
      if (address !== undefined) resolve(address);
    });
    child.once("exit", (status) => reject(new Error(`the server ended with ${status}`)));
  });
  const rssMiB = () =>
    Math.round(Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${child.pid}/status`, "utf8"))?.[1]) / 1024);
  return { url, rssMiB, credential: readFileSync(join(dataDir, "root.key"), "utf8").trim(), stop: () => child.kill() };
}

/** Runs the command, ends it once after a third of the keys, and runs it again. */
async function importInterrupted(path) {
  const startMs = performance.now();
  let seconds = 0;
  for (const interrupted of [true, false]) {
    const begunMs = performance.now();
    const env = { ...process.env, ICHOR_DATA_DIR: dataDir, ICHOR_URL: server.url };
    const child = spawn(process.execPath, [main, "--json", "keys", "import", path], {
      env,
      stdio: ["ignore", "pipe", "pipe"],
    });
    let answer = "";
    child.stdout.on("data", (data) => {
      answer += data;
    });
    createInterface({ input: child.stderr }).on("line", (line) => {
      console.log(`  ${line}`);
      if (interrupted && !child.killed && Number(/^(\d+) imported/.exec(line)?.[1]) >= count / 3) child.kill("SIGINT");
    });
    const status = await new Promise((resolve) => child.once("close", resolve));
    seconds += (performance.now() - begunMs) / 1000;
    if (interrupted && status !== 0) continue;
    if (status !== 0) throw new Error(`the import ended with ${status}`);
    const { imported, present, refused } = JSON.parse(answer);
    if (imported + present !== count || refused !== 0) throw new Error(`not all are there: ${answer}`);
    break;
  }
  console.log(
    `imported ${count} keys in ${seconds.toFixed(1)} s: ${Math.round(count / seconds)} keys/s, interrupted once`,
  );
  return (performance.now() - startMs) / 1000;
}

async function walkPages() {
  const first = [];
  const last = [];
  let pageToken = "";
  let pages = 0;
  let keys = 0;
  for (let i = 0; i < 200; i++) first.push((await timed("ListApiKeys", { pageSize })).ms);
  do {
    const { ms, body } = await timed("ListApiKeys", { pageSize, pageToken });
    keys += body.apiKeys.length;
    pageToken = body.nextPageToken ?? "";
    pages++;
    // The first and the last ones are measured in a process that is equally warm.
    if (pages > count / pageSize - 200) last.push(ms);
  } while (pageToken !== "");
  for (let i = 0; i < 200; i++) first.push((await timed("ListApiKeys", { pageSize })).ms);
  if (keys !== count + 1) throw new Error(`${keys} keys in ${pages} pages`);
  const [a, b] = [quantile(first, 0.5), quantile(last, 0.5)];
  console.log(`page 1: p50 ${a.toFixed(2)} ms; page ${pages}: p50 ${b.toFixed(2)} ms; ratio ${(b / a).toFixed(2)}`);
}

async function verifyRandom() {
  const times = [];
  for (let n = 0; n < 10_000; n++) {
    const i = Math.floor(Math.random() * count);
    const { ms, body } = await timed("VerifyCredential", {
      credential: credentialOf(i),
      requiredScopes: ["orders:read"],
    });
    if (!body.valid || body.key.name !== `key ${i}`) throw new Error(`key ${i}: ${JSON.stringify(body)}`);
    times.push(ms);
  }
  console.log(
    `10 000 random verifications, all right: p50 ${quantile(times, 0.5).toFixed(2)} ms, p99 ${quantile(times, 0.99).toFixed(2)} ms`,
  );
}

function timed(method, body) {
  const startMs = performance.now();
  return new Promise((resolve, reject) => {
    const call = request(
      `${server.url}/ichor.v1.AdminService/${method}`,
      {
        agent,
        method: "POST",
        headers: { "content-type": "application/json", authorization: `Bearer ${server.credential}` },
      },
      (response) => {
        let text = "";
        response.on("data", (data) => {
          text += data;
        });
        response.on("end", () => {
          const ms = performance.now() - startMs;
          if (response.statusCode === 200) resolve({ ms, body: JSON.parse(text) });
          else reject(new Error(`${method}: ${response.statusCode} ${text}`));
        });
      },
    );
    call.on("error", reject);
    call.end(JSON.stringify(body));
  });
}

function quantile(samples, q) {
  const sorted = [...samples].sort((x, y) => x - y);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))];
}
