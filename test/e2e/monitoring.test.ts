import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { Agent, request } from "node:https";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it, vi } from "vitest";
import { makeCertificate } from "../support/certificate.ts";
import { createTestDatabase, type TestDatabase } from "../support/databases.ts";
import { instrumentsMissing, isOfSidecar, metricsIn, metricsTold } from "../support/metric-names.ts";
import { requirement } from "../support/requirements.ts";
import { type ServerProcess, startServer, temporaryFolder } from "../support/server-process.ts";

const postgres = await requirement("postgres");
const promtool = await requirement("promtool");

const folder = "docs/operate/monitoring";
const rules = readFileSync(`${folder}/alerts.yaml`, "utf8");
const dashboard: Dashboard = JSON.parse(readFileSync(`${folder}/dashboard.json`, "utf8"));

interface Dashboard {
  readonly panels: readonly { readonly title: string; readonly targets: readonly { readonly expr: string }[] }[];
}

/** What Grafana puts in the place of its variables. */
const expressions = dashboard.panels.flatMap(({ targets }) =>
  targets.map(({ expr }) => expr.replaceAll("$__rate_interval", "5m").replaceAll("$job", "ichor")),
);

promtool.describe("the rules and the dashboard", (path) => {
  const temporary = temporaryFolder("rules");
  afterAll(temporary.remove);

  it("are rules as Prometheus reads them", () => {
    expect(execFileSync(path, ["check", "rules", `${folder}/alerts.yaml`], { encoding: "utf8" })).toMatch(
      /SUCCESS: 1\d/,
    );
  });

  it("fire when they should, and not before", () => {
    const run = execFileSync(path, ["test", "rules", "alerts.test.yaml"], { cwd: folder, encoding: "utf8" });
    expect(run).toContain("SUCCESS");
  });

  it("ask in PromQL, in each panel", () => {
    expect(expressions.length).toBeGreaterThan(20);
    const asRules = expressions.map((expr, i) => ({ record: `panel:${i}`, expr }));
    const file = join(temporary.path, "panels.json");
    writeFileSync(file, JSON.stringify({ groups: [{ name: "panels", rules: asRules }] }));
    expect(execFileSync(path, ["check", "rules", file], { encoding: "utf8" })).toContain("SUCCESS");
    writeFileSync(file, JSON.stringify({ groups: [{ name: "bad", rules: [{ record: "a:b", expr: "sum(" }] }] }));
    expect(() => execFileSync(path, ["check", "rules", file], { stdio: "ignore" })).toThrow();
  });
});

postgres.describe("a busy server on PostgreSQL, over TLS,", (serverUrl) => {
  const temporary = temporaryFolder("monitoring");
  let database: TestDatabase;
  let server: ServerProcess;
  let metrics: string;

  beforeAll(async () => {
    database = await createTestDatabase(serverUrl);
    const { certFile, keyFile } = makeCertificate(temporary.path);
    const masterKey = join(temporary.path, "master.key");
    writeFileSync(masterKey, `${Buffer.alloc(32, 7).toString("base64")}\n`, { mode: 0o600 });
    const configFile = join(temporary.path, "ichor.yaml");
    writeFileSync(configFile, "logLevel: warn\n");
    server = await startServer({
      dataDir: join(temporary.path, "data"),
      env: {
        ICHOR_CONFIG_FILE: configFile,
        ICHOR_LOG_LEVEL: "info",
        ICHOR_DATABASE_URL: database.url,
        ICHOR_MASTER_KEY_FILE: masterKey,
        ICHOR_TLS_CERT_FILE: certFile,
        ICHOR_TLS_KEY_FILE: keyFile,
        ICHOR_METRICS_LISTEN: "127.0.0.1:0",
      },
    });
    const metricsUrl = /"metrics":"([^"]+)"/.exec(server.log.join("\n"))?.[1] ?? "";
    const agent = new Agent({ ca: readFileSync(certFile) });
    const call = (method: string, body: object) => callOverTls(server, agent, method, body);
    await call("AdminService/IssueApiKey", { name: "a" });
    await call("AdminService/VerifyCredential", { credential: server.rootCredential });
    const derive = { format: "TOKEN_FORMAT_JWT", audiences: ["svc"], credential: server.rootCredential, scopes: [] };
    await call("DerivationService/DeriveToken", derive);
    writeFileSync(configFile, "listen: nowhere\n");
    process.kill(server.pid, "SIGHUP");
    await vi.waitFor(
      async () => {
        metrics = await (await fetch(metricsUrl)).text();
        expect(metrics).toContain('ichor_config_reloads_total{ichor_outcome="failed"} 1');
        expect(metrics).toContain("ichor_wake_ups_connected 1");
        expect(metrics).toMatch(/^ichor_periodic_runs_total\{.*ichor_outcome="ok"\} [1-9]/m);
      },
      { timeout: 20_000, interval: 200 },
    );
    agent.destroy();
  }, 60_000);
  afterAll(async () => {
    await server.stop();
    await database.drop();
    temporary.remove();
  });

  const told = () => metricsTold(metrics);

  it("tells every metric that a rule or a panel names", () => {
    const named = [...metricsIn(rules), ...expressions.flatMap(metricsIn)];
    expect(new Set(named).size).toBeGreaterThanOrEqual(25);
    expect(named.filter((name) => !told().has(name) && !isOfSidecar(name))).toEqual([]);
    expect(metricsIn("rate(ichor_no_such_thing_total[5m])").filter((name) => !told().has(name))).toHaveLength(1);
  });

  it("tells every instrument of the list, but for what it isn't set up for", () => {
    expect(instrumentsMissing(metrics).filter((name) => !isOfSidecar(name))).toEqual(["ichor_limits_shared"]);
  });

  it("has values that can be", () => {
    const value = (name: string) => Number(new RegExp(`^${name}(?:\\{.*\\})? (\\S+)$`, "m").exec(metrics)?.[1]);
    const nowSeconds = Date.now() / 1_000;
    expect(value("ichor_tls_certificate_expiry")).toBeGreaterThan(nowSeconds + 86_400);
    expect(value("ichor_tls_certificate_expiry")).toBeLessThan(nowSeconds + 3 * 86_400);
    expect(value("process_memory_usage")).toBeGreaterThan(50e6);
    expect(value("ichor_log_revision")).toBeGreaterThanOrEqual(2);
    expect(value("ichor_log_age")).toBeLessThan(5);
    expect(value("nodejs_eventloop_utilization")).toBeLessThanOrEqual(1);
    expect(value("nodejs_eventloop_delay_max")).toBeLessThan(20);
  });
});

/** Calls a method with JSON by the root credential; the answer's status must be good. */
function callOverTls(
  { url, rootCredential }: ServerProcess,
  agent: Agent,
  method: string,
  body: object,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const headers = { "content-type": "application/json", authorization: `Bearer ${rootCredential}` };
    const sent = request(`${url}/ichor.v1.${method}`, { method: "POST", agent, headers }, (response) => {
      const good = response.statusCode === 200;
      response.resume().once("end", () => (good ? resolve() : reject(new Error(`${method}: ${response.statusCode}`))));
    });
    sent.once("error", reject);
    sent.end(JSON.stringify(body));
  });
}
