// How soon a key that is revoked at the server is refused at a gateway, with nothing in the service behind: real processes of
// server, side-car, nginx (docs/examples/gateways/nginx.conf) and a service. In each round a key is issued, passes nginx with the
// service told who called, is revoked, and is used until nginx says 401; then the same with `wait`, after which the first
// request must be refused. Then that 429 and 503 arrive as such, and how long keys go on passing once the server is killed.
// No part of `run.mjs`, which prints ratios: these are times.
//
//   node bench/gateway.mjs [--nginx /usr/sbin/nginx] [--rounds 200] [--max-staleness 5]
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { Agent, createServer, request } from "node:http";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { machineFacts } from "./lib/machine.mjs";
import { summaryOf, timed } from "./lib/times.mjs";

const { values } = parseArgs({
  options: {
    nginx: { type: "string", default: "/usr/sbin/nginx" },
    rounds: { type: "string", default: "200" },
    "max-staleness": { type: "string", default: "5" },
  },
});
const rounds = Number(values.rounds);
const pollMs = 250;

const main = fileURLToPath(new URL("../dist/services/main.js", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "ichor-bench-gateway-"));
const agent = new Agent({ keepAlive: true });
const children = [];
/** Whom the service was last told that called. */
let toldKeyId;
const service = createServer((incoming, response) => {
  toldKeyId = incoming.headers["ichor-principal-key-id"];
  response.end("hello");
});
try {
  await new Promise((resolve) => service.listen(0, "127.0.0.1", resolve));
  const server = await startIchor(["serve"], { ICHOR_DATA_DIR: folder, ICHOR_LISTEN: "127.0.0.1:0" });
  const root = readFileSync(join(folder, "root.key"), "utf8").trim();
  const call = caller(server.address, root);
  const credentialFile = join(folder, "sidecar.key");
  const own = await call("IssueApiKey", { name: "side-car", scopes: ["ichor:keyset:watch", "ichor:keys:verify"] });
  writeFileSync(credentialFile, own.credential, { mode: 0o600 });
  const flags = ["--upstream", server.address, "--credential-file", credentialFile, "--listen", "127.0.0.1:0"];
  const sidecar = await startIchor(["sidecar", ...flags, "--max-staleness", `${values["max-staleness"]}s`]);
  const port = await startNginx(new URL(sidecar.address).host);
  while ((await (await fetch(`${sidecar.address}/readyz`)).text()).includes("reasons")) await pause(20);
  const ask = (credential) => statusAt(port, credential);
  const issue = async (more = {}) => {
    const { apiKey, credential } = await call("IssueApiKey", { name: "k", scopes: ["invoices:*"], ...more });
    const { status } = await ask(credential);
    if (status !== 200 || toldKeyId !== apiKey.id) throw new Error(`a new key: ${status}, told ${toldKeyId}`);
    return { id: apiKey.id, credential };
  };

  const times = {
    "a request that passes": [],
    "revoke (answered)": [],
    "revoke sent, then 401 at nginx": [],
    "revoke answered, then 401 at nginx": [],
    "revoke with wait (answered; the next request is a 401)": [],
  };
  for (let i = 0; i < rounds; i++) {
    const key = await issue();
    await timed(times["a request that passes"], () => ask(key.credential));
    const sentMs = performance.now();
    const answered = call("RevokeApiKey", { keyId: key.id }).then(() => performance.now());
    while ((await ask(key.credential)).status !== 401);
    const refusedMs = performance.now();
    times["revoke sent, then 401 at nginx"].push(refusedMs - sentMs);
    const answeredMs = await answered;
    times["revoke (answered)"].push(answeredMs - sentMs);
    times["revoke answered, then 401 at nginx"].push(Math.max(0, refusedMs - answeredMs));
  }
  for (let i = 0; i < rounds / 2; i++) {
    const key = await issue();
    const list = times["revoke with wait (answered; the next request is a 401)"];
    const { appliedEverywhere } = await timed(list, () => call("RevokeApiKey", { keyId: key.id, wait: "10s" }));
    const { status } = await ask(key.credential);
    if (!appliedEverywhere || status !== 401) throw new Error(`wait was answered too soon: ${status}`);
  }

  const limited = await issue({ rateLimits: [{ name: "r", limit: "1", period: "3600s" }] });
  const used = await ask(limited.credential);
  const key = await issue();
  const killedMs = performance.now();
  server.child.kill("SIGKILL");
  const unknown = await ask("never-seen-credential");
  let last;
  do {
    await pause(pollMs);
    last = await ask(key.credential);
  } while (last.status === 200);
  const goneSeconds = Number(((performance.now() - killedMs) / 1000).toFixed(1));
  const summaries = Object.fromEntries(Object.entries(times).map(([name, list]) => [name, summaryOf(list)]));
  const seen = {
    "rate limit used up": used,
    "server gone, key never seen": unknown,
    [`server gone, key seen: passed for ${goneSeconds} s of --max-staleness ${values["max-staleness"]} s, then`]: last,
  };
  if (used.status !== 429 || unknown.status !== 503 || last.status !== 503) throw new Error(JSON.stringify(seen));
  console.log(JSON.stringify({ machine: machineFacts(), rounds, times: summaries, seen }));
  console.table(summaries);
  console.table(seen);
} finally {
  for (const child of children) child.kill("SIGKILL");
  agent.destroy();
  service.close();
  service.closeAllConnections();
  rmSync(folder, { recursive: true, force: true });
}

/** Starts a process of Ichor; gives it and where it listens. */
async function startIchor(args, settings = {}) {
  const plain = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("ICHOR_")));
  const env = { ...plain, ...settings };
  const child = spawn(process.execPath, [main, ...args], { env, cwd: folder, stdio: ["ignore", "pipe", "inherit"] });
  children.push(child);
  const address = await new Promise((resolve, reject) => {
    createInterface({ input: child.stdout }).on("line", (line) => {
      const said = JSON.parse(line);
      if (said.msg === "listening") resolve(said.address);
    });
    child.once("close", (status) => reject(new Error(`ichor ${args[0]} ended with ${status}`)));
  });
  return { child, address };
}

/** Starts nginx with the example's configuration; gives its port. */
async function startNginx(sidecar) {
  const port = await freePort();
  const example = readFileSync(new URL("../docs/examples/gateways/nginx.conf", import.meta.url), "utf8")
    .replaceAll("127.0.0.1:8080", `127.0.0.1:${port}`)
    .replaceAll("127.0.0.1:8421", sidecar)
    .replaceAll("127.0.0.1:9000", `127.0.0.1:${service.address().port}`);
  writeFileSync(join(folder, "api.conf"), example);
  const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map((name) => `${name}_temp_path ${name};`);
  writeFileSync(
    join(folder, "nginx.conf"),
    `daemon off; master_process off; pid nginx.pid; error_log stderr; events {}
     http { access_log off; ${temporary.join(" ")} include ${join(folder, "api.conf")}; }`,
  );
  const args = ["-e", "stderr", "-p", folder, "-c", join(folder, "nginx.conf")];
  const child = spawn(values.nginx, args, { stdio: ["ignore", "ignore", "ignore"] });
  children.push(child);
  while (!(await answers(port))) {
    if (child.exitCode !== null) throw new Error(`nginx ended with ${child.exitCode}`);
    await pause(20);
  }
  return port;
}

function answers(port) {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}

function freePort() {
  return new Promise((resolve) => {
    const probe = createServer().listen(0, "127.0.0.1", () => {
      const { port } = probe.address();
      probe.close(() => resolve(port));
    });
  });
}

/** A request through nginx: its status, and when to come back. */
function statusAt(port, credential) {
  return new Promise((resolve, reject) => {
    const headers = { "x-api-key": credential };
    const sent = request({ host: "127.0.0.1", port, agent, path: "/invoices", headers }, (response) => {
      response.resume();
      const { "retry-after": retryAfter, ratelimit } = response.headers;
      response.once("end", () => resolve({ status: response.statusCode, retryAfter, ratelimit }));
    });
    sent.once("error", reject);
    sent.end();
  });
}

function caller(url, credential) {
  return async (method, body) => {
    const response = await fetch(`${url}/ichor.v1.AdminService/${method}`, {
      method: "POST",
      headers: { "content-type": "application/json", authorization: `Bearer ${credential}` },
      body: JSON.stringify(body),
    });
    const answer = await response.json();
    if (response.status !== 200) throw new Error(`${method}: ${JSON.stringify(answer)}`);
    return answer;
  };
}
