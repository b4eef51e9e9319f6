import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { callJson } from "../support/calls.ts";
import { makeCertificate } from "../support/certificate.ts";
import { type RunningCommand, startIchor } from "../support/command-line.ts";
import { instrumentsMissing, isOfSidecar, metricsIn, metricsTold } from "../support/metric-names.ts";
import { type OtlpReceiver, startOtlpReceiver } from "../support/otlp/receiver.ts";
import { type ServerProcess, startServer, temporaryFolder } from "../support/server-process.ts";

const folder = temporaryFolder("sidecar-metrics");
const traceId = "4bf92f3577b34da6a3ce929d0e0e4736";
const traced = { traceparent: `00-${traceId}-00f067aa0ba902b7-01` };
let receiver: OtlpReceiver;
let server: ServerProcess;
let sidecar: RunningCommand;
let url: string;
let metricsUrl: string;
let credential: string;

const metrics = async () => (await fetch(metricsUrl)).text();
const verify = (text: string, headers = {}) =>
  callJson(url, "AdminService/VerifyCredential", undefined, { credential: text }, headers);

/** Values of a metric, by its attributes as Prometheus writes them. */
async function valuesOf(name: string): Promise<Record<string, number>> {
  const lines = (await metrics()).matchAll(new RegExp(`^${name}(?:\\{(.*)\\})? (\\S+)$`, "gm"));
  return Object.fromEntries([...lines].map(([, attributes = "", value]) => [attributes, Number(value)]));
}

beforeAll(async () => {
  receiver = await startOtlpReceiver();
  server = await startServer({ dataDir: join(folder.path, "server") });
  const issue = async (scopes: string[]) => {
    const body = { name: "k", scopes };
    return (await callJson(server.url, "AdminService/IssueApiKey", server.rootCredential, body)).body.credential;
  };
  const credentialFile = join(folder.path, "sidecar.key");
  const own = await issue(["ichor:keyset:watch", "ichor:keys:verify"]);
  writeFileSync(credentialFile, own, { mode: 0o600 });
  credential = await issue(["a"]);
  const { certFile, keyFile } = makeCertificate(folder.path);
  const flags = ["--upstream", server.url, "--credential-file", credentialFile, "--listen", "127.0.0.1:0"];
  const tls = ["--tls-cert-file", certFile, "--tls-key-file", keyFile];
  const telling = ["--metrics-listen", "127.0.0.1:0", "--otlp-endpoint", receiver.url];
  // The certificate is only to be measured: the calls of this test go in clear, to a second one.
  const withTls = startIchor(["sidecar", ...flags, ...tls, ...telling], { cwd: folder.path, env: {} });
  const { metrics: ofTls } = JSON.parse(await withTls.line((line) => line.includes('"listening"')));
  expect(await (await fetch(ofTls)).text()).toMatch(/^ichor_tls_certificate_expiry \d{10}/m);
  await withTls.interrupt();
  sidecar = startIchor(["sidecar", ...flags, ...telling], { cwd: folder.path, env: {} });
  ({ address: url, metrics: metricsUrl } = JSON.parse(await sidecar.line((line) => line.includes('"listening"'))));
  await sidecar.line((line) => line.includes("follows the server"));
  await vi.waitFor(async () => expect((await fetch(`${url}/readyz`)).status).toBe(200), { timeout: 10_000 });
});
afterAll(async () => {
  await server.stop();
  receiver.close();
  folder.remove();
});

describe("a side-car's metrics", () => {
  it("tell calls, decisions, what was kept and what was asked", async () => {
    await verify(credential);
    await verify(credential, traced);
    await verify(credential);
    await verify("nonsense");
    expect(await valuesOf("ichor_verifications_total")).toEqual({
      'ichor_code="VALID",ichor_kind="ISSUED_KEY"': 3,
      'ichor_code="NOT_FOUND",ichor_kind="IMPORTED_KEY"': 1,
    });
    expect(await valuesOf("ichor_cache_reads_total")).toEqual({
      'ichor_cache="answers",ichor_result="hit"': 2,
      'ichor_cache="answers",ichor_result="miss"': 2,
      'ichor_cache="answers",ichor_result="bypass"': 0,
    });
    expect(await valuesOf("ichor_upstream_questions_total")).toMatchObject({ 'ichor_outcome="ok"': 2 });
    expect(await valuesOf("ichor_upstream_waiting")).toEqual({ "": 0 });
    const calls = await valuesOf("rpc_server_call_duration_count");
    const method = 'rpc_method="ichor.v1.AdminService/VerifyCredential"';
    expect(Object.entries(calls).filter(([attributes]) => attributes.includes(method))).toEqual([
      [expect.stringContaining('rpc_response_status_code="OK"'), 4],
    ]);
  });

  it("tell how far it follows", async () => {
    expect(await valuesOf("ichor_key_set_connected")).toEqual({ "": 1 });
    expect((await valuesOf("ichor_key_set_age"))[""]).toBeLessThan(30);
    expect((await valuesOf("ichor_key_set_revision"))[""]).toBeGreaterThanOrEqual(3);
  });

  it("tell answers to gateways by status", async () => {
    const ask = (headers = {}) => fetch(`${url}/v1/forward-auth`, { headers });
    await ask({ authorization: `Bearer ${credential}` });
    await ask();
    await ask({ "x-api-key": "nonsense" });
    expect(await valuesOf("ichor_gateway_answers_total")).toEqual({
      'ichor_door="forward-auth",http_response_status_code="200"': 1,
      'ichor_door="forward-auth",http_response_status_code="401"': 2,
    });
  });

  it("tell every instrument that a side-car has, and every metric of its alerts", async () => {
    const text = await metrics();
    expect(instrumentsMissing(text).filter(isOfSidecar)).toEqual([]);
    const named = metricsIn(readFileSync("docs/operate/monitoring/alerts.yaml", "utf8")).filter(isOfSidecar);
    expect(named.length).toBeGreaterThanOrEqual(2);
    expect(named.filter((name) => !metricsTold(text).has(name))).toEqual([]);
    expect(text).not.toContain(credential);
  });

  it("tell that the server is gone", async () => {
    await server.stop();
    expect((await verify("other nonsense")).status).toBe(503);
    await expect.poll(() => valuesOf("ichor_key_set_connected"), { timeout: 10_000 }).toEqual({ "": 0 });
    expect(await valuesOf("ichor_upstream_questions_total")).toMatchObject({ 'ichor_outcome="failed"': 1 });
    expect(await sidecar.interrupt()).toEqual({ status: 0, stderr: "" });
  });

  it("go to a collector, too, with the spans of calls that are traced", async () => {
    expect(receiver.spans).toContainEqual(
      expect.objectContaining({
        ...{ traceId, name: "ichor.v1.AdminService/VerifyCredential" },
        resource: expect.objectContaining({ "service.name": "ichor-sidecar" }),
      }),
    );
    expect(receiver.metrics).toContain("ichor.upstream.questions");
    expect(Buffer.concat([...receiver.bodies]).toString("latin1")).not.toContain(credential);
  });
});
