import { execFileSync, fork } from "node:child_process";
import cluster from "node:cluster";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { runCommandLine } from "../../dist/services/cli/program.js";
import { UseRecorder } from "../../dist/services/verification/use-recorder.js";
import { apiOf } from "../lib/api.mjs";
import { prepareKeys } from "./keys.mjs";
import { storeKeys } from "./stored-keys.mjs";
import { suspendKeys } from "./suspend-keys.mjs";
import { tell } from "./tell.mjs";

// The server as `ichor serve` runs it, with its log going to a file.
// Workers are processes of the command line itself, with this one's environment.
cluster.setupPrimary({ exec: fileURLToPath(new URL("../../dist/services/main.js", import.meta.url)), args: ["serve"] });
const usesAtOnce = 1_000_000;
const stop = new AbortController();
process.once("SIGTERM", () => stop.abort(new Error("SIGTERM")));

tell(facts, {
  /** What it takes to note one use of a key, in µs. */
  async use() {
    const store = { recordUse: async () => {} };
    const use = new UseRecorder({ store, now: Date.now, schedule: () => () => {}, log: { error() {} } });
    const keyIds = Array.from({ length: 64 }, (_, i) => `key_${i}`);
    const before = process.cpuUsage();
    for (let i = 0; i < usesAtOnce; i++) use.record(keyIds[i % keyIds.length], 1, "192.0.2.1");
    const { user, system } = process.cpuUsage(before);
    return (user + system) / usesAtOnce;
  },
});

async function facts({ marks = 0, stored = 0, token = false, ...options }) {
  const port = 20_000 + (randomBytes(2).readUInt16BE() % 20_000);
  const tls = process.env.BENCH_TLS === "on";
  const env = {
    ...process.env,
    ...(await collectorEnv()),
    ...(tls && certificateEnv()),
    ICHOR_LISTEN: `127.0.0.1:${port}`,
  };
  process.env.ICHOR_LISTEN = env.ICHOR_LISTEN;
  const url = `${tls ? "https" : "http"}://127.0.0.1:${port}`;
  const { stdout, stderr, stdin } = process;
  const io = { env, stdout, stderr, stdin, stop: stop.signal, onReload() {} };
  runCommandLine(["serve"], io).then((status) => process.exit(status));
  await answering(`${url}/readyz`);
  const rootCredential = readFileSync(join(env.ICHOR_DATA_DIR, "root.key"), "utf8").trim();
  if (marks > 0) suspendKeys(env.ICHOR_DATA_DIR, marks);
  const prepared = await prepareKeys(url, rootCredential, options);
  if (stored > 0) prepared.credentials = await storeKeys(env.ICHOR_DATA_DIR, prepared.credentials[0], stored);
  if (token) prepared.token = await deriveJwt({ port, rootCredential }, prepared.credentials[0]);
  return { port, rootCredential, ...prepared };
}

async function deriveJwt(server, credential) {
  const request = { format: "TOKEN_FORMAT_JWT", audiences: ["https://api.example"], scopes: ["invoices:read"] };
  return (await apiOf(server)("DerivationService/DeriveToken", request, credential)).token;
}

/** BENCH_COLLECTOR=on: traces and metrics are sent to a collector in another process. */
async function collectorEnv() {
  if (process.env.BENCH_COLLECTOR !== "on") return {};
  const collector = fork(fileURLToPath(new URL("collector.mjs", import.meta.url)));
  const [{ port }] = await once(collector, "message");
  return { OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${port}` };
}

/** BENCH_TLS=on: the port is TLS, with a certificate that is made for it. */
function certificateEnv() {
  const file = (name) => join(process.env.ICHOR_DATA_DIR, name);
  const made = ["-keyout", file("tls.key"), "-out", file("tls.pem")];
  const what = [
    "-newkey",
    "ec",
    "-pkeyopt",
    "ec_paramgen_curve:prime256v1",
    "-nodes",
    "-days",
    "2",
    "-subj",
    "/CN=bench",
  ];
  execFileSync("openssl", ["req", "-x509", ...what, ...made], { stdio: "ignore" });
  // For the calls that prepare the run: nobody knows the certificate's authority.
  process.env.NODE_TLS_REJECT_UNAUTHORIZED = "0";
  return { ICHOR_TLS_CERT_FILE: file("tls.pem"), ICHOR_TLS_KEY_FILE: file("tls.key") };
}

async function answering(url) {
  for (;;) {
    const answer = await fetch(url).catch(() => undefined);
    if (answer?.ok) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
