// How soon a revocation at one server is known at another, and at a verifier that follows that one, by what wakes them.
// Two real servers on one database; in each round a key is issued at A, a token derived, both are verified at B and in the
// verifier, revoked at A, and verified until they are refused. Then the same with `wait`, which answers when all know. No
// part of `run.mjs`, which prints ratios: these are times.
//
//   node bench/replicas.mjs --database postgresql://user@127.0.0.1/empty_database [--redis redis://127.0.0.1:6379]
//     [--wake-ups off] [--rounds 200]
import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setImmediate as nextTurn } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { createVerifier } from "../dist/services/verifier/index.js";
import { machineFacts } from "./lib/machine.mjs";
import { summaryOf, timed } from "./lib/times.mjs";

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

const audience = "https://api.example";
let verifier;
const a = await start();
const b = await start();
const credential = readFileSync(join(dataDir, "root.key"), "utf8").trim();
try {
  const scopes = ["ichor:keyset:watch", `ichor:verify:aud:${audience}`];
  const service = await call(a, "IssueApiKey", { name: "service", scopes });
  verifier = createVerifier({ url: b.url, audience, credential: service.credential });
  await verifier.ready();
  const times = {
    issue: [],
    "revoke (answered)": [],
    "answered at A, then refused at B": [],
    "answered at A, then refused in the verifier at B": [],
    "revoke with wait (answered)": [],
  };
  for (let i = 0; i < Number(values.rounds); i++) {
    const key = await newKey(times.issue, i);
    await timed(times["revoke (answered)"], () => call(a, "RevokeApiKey", { keyId: key.id }));
    await Promise.all([
      timed(times["answered at A, then refused at B"], async () => {
        while (await key.isGoodAtB());
      }),
      timed(times["answered at A, then refused in the verifier at B"], async () => {
        // Its stream is read between the looks.
        while (await key.isGoodInVerifier()) await nextTurn();
      }),
    ]);
  }
  for (let i = 0; i < Number(values.rounds) / 2; i++) {
    const key = await newKey(times.issue, i);
    const { appliedEverywhere } = await timed(times["revoke with wait (answered)"], () =>
      call(a, "RevokeApiKey", { keyId: key.id, wait: "10s" }),
    );
    if (!appliedEverywhere) throw new Error("a revocation wasn't applied everywhere within 10 s");
    if ((await key.isGoodAtB()) || (await key.isGoodInVerifier())) throw new Error("wait was answered too soon");
  }
  console.log(JSON.stringify(machineFacts()));
  console.table(Object.fromEntries(Object.entries(times).map(([name, list]) => [name, summaryOf(list)])));
} finally {
  await verifier?.close();
  for (const { child } of [a, b]) child.kill();
  rmSync(dataDir, { recursive: true, force: true });
}

/** Issues a key at A and derives a token of it; both are good at B, too. */
async function newKey(times, number) {
  const issued = await timed(times, () => call(a, "IssueApiKey", { name: `key ${number}` }));
  const request = { audiences: [audience], format: "TOKEN_FORMAT_JWT" };
  const { token } = await call(a, "DeriveToken", request, issued.credential, "DerivationService");
  const key = {
    id: issued.apiKey.id,
    isGoodAtB: async () => (await call(b, "VerifyCredential", { credential: issued.credential })).valid === true,
    isGoodInVerifier: async () => (await verifier.verify(token)).valid,
  };
  if (!(await key.isGoodAtB()) || !(await key.isGoodInVerifier())) throw new Error("B doesn't know what A issued");
  return key;
}

async function start() {
  const own = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("ICHOR_")));
  const env = {
    ...own,
    ICHOR_DATA_DIR: dataDir,
    ICHOR_LISTEN: "127.0.0.1:0",
    ICHOR_DATABASE_URL: values.database,
    ICHOR_MASTER_KEY_FILE: masterKeyFile,
    ICHOR_PUBLIC_URL: "https://keys.example",
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

async function call({ url }, method, body, presented = credential, service = "AdminService") {
  const response = await fetch(`${url}/ichor.v1.${service}/${method}`, {
    method: "POST",
    headers: { "content-type": "application/json", authorization: `Bearer ${presented}` },
    body: JSON.stringify(body),
  });
  const answer = await response.json();
  if (response.status !== 200) throw new Error(`${method}: ${JSON.stringify(answer)}`);
  return answer;
}
