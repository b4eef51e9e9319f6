import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parseIssuedKey } from "../../services/core/credential.ts";
import { loadMasterKeys } from "../../services/keyring/master-key.ts";
import { callJson } from "../support/calls.ts";
import { type OtlpReceiver, startOtlpReceiver } from "../support/otlp/receiver.ts";
import { formsOf } from "../support/secret-forms.ts";
import { type ServerProcess, startServer, temporaryFolder } from "../support/server-process.ts";

const folder = temporaryFolder("telemetry");
const traceId = "4bf92f3577b34da6a3ce929d0e0e4736";
const spanId = "00f067aa0ba902b7";
/** Of a caller that records its trace, and of one that doesn't. */
const sampled = { traceparent: `00-${traceId}-${spanId}-01`, tracestate: "vendor=x" };
const unsampled = { traceparent: `00-${"a".repeat(32)}-${spanId}-00` };

let receiver: OtlpReceiver;
let server: ServerProcess;
let metricsUrl: string;
/** What was shown to callers. */
const credentials: string[] = [];
/** The metrics after the run, and what else was told, once the server has ended. */
let prometheus: string;

beforeAll(async () => {
  receiver = await startOtlpReceiver();
  server = await startServer({
    dataDir: folder.path,
    env: {
      ICHOR_METRICS_LISTEN: "127.0.0.1:0",
      ICHOR_LOG_LEVEL: "trace",
      OTEL_EXPORTER_OTLP_ENDPOINT: `${receiver.url}/`,
      OTEL_EXPORTER_OTLP_HEADERS: "x-collector-token=t0ken",
      OTEL_RESOURCE_ATTRIBUTES: "deployment.environment.name=test",
    },
  });
  metricsUrl = /"metrics":"([^"]+)"/.exec(server.log.join("\n"))?.[1] ?? "";
  const call = (method: string, body: object, credential = server.rootCredential, headers = {}) =>
    callJson(server.url, method, credential, body, headers);
  const issue = async (scopes: string[], headers = {}) => {
    const { body } = await call("AdminService/IssueApiKey", { name: "a", scopes }, undefined, headers);
    credentials.push(body.credential);
    return body;
  };
  credentials.push(server.rootCredential);
  const issued = await issue(["a:b"], sampled);
  const derive = { format: "TOKEN_FORMAT_JWT", audiences: ["svc"], scopes: ["a:b"] };
  const derived = await call("DerivationService/DeriveToken", derive, issued.credential, sampled);
  credentials.push(derived.body.token);
  for (const credential of [issued.credential, derived.body.token, "nobodys-credential-of-some-length"])
    await call("AdminService/VerifyCredential", { credential, audience: "svc" });
  await call("AdminService/VerifyCredential", { credential: issued.credential }, undefined, unsampled);
  await call("AdminService/GetApiKey", { keyId: issued.credential }, undefined, sampled);
  await call("AdminService/GetApiKey", { keyId: issued.apiKey.id }, `${issued.credential}x`, sampled);
  await call("AdminService/GetApiKey", { keyId: issued.apiKey.id }, undefined, {
    traceparent: server.rootCredential,
    tracestate: server.rootCredential,
  });
  prometheus = await (await fetch(metricsUrl)).text();
}, 60_000);
afterAll(() => {
  receiver.close();
  folder.remove();
});

it("costs a server nothing that doesn't want it: nothing of OpenTelemetry is loaded", () => {
  const loaded = (module: string) => {
    const code = `import("./dist/services/${module}.js").then(() => console.log(Object.keys(require.cache).join(" ")))`;
    return execFileSync(process.execPath, ["-e", code], { encoding: "utf8" });
  };
  expect(loaded("app")).toContain("node_modules");
  expect(loaded("app")).not.toContain("@opentelemetry");
  expect(loaded("cli/serve")).not.toContain("@opentelemetry");
  expect(loaded("telemetry/sdk")).toContain("@opentelemetry");
});

describe("the listener for metrics", () => {
  it("gives them in Prometheus' text, with what runs", () => {
    expect(prometheus).toContain("# TYPE rpc_server_call_duration histogram");
    const labels =
      'rpc_system_name="connectrpc",rpc_method="ichor.v1.AdminService/IssueApiKey",rpc_response_status_code="OK",error_type=""';
    expect(prometheus).toContain(`rpc_server_call_duration_count{${labels}} 1`);
    expect(prometheus).toContain('ichor_verifications_total{ichor_code="VALID",ichor_kind="ISSUED_KEY"} 2');
    expect(prometheus).toContain('ichor_tokens_derived_total{ichor_format="JWT"} 1');
    expect(prometheus).toMatch(/^target_info\{.*service_name="ichor".*service_version="0\.1\.0"/m);
  });

  it("serves nothing else, and the port of calls serves no metrics", async () => {
    expect((await fetch(new URL("/", metricsUrl))).status).toBe(404);
    expect((await fetch(new URL("/livez", metricsUrl))).status).toBe(404);
    expect((await fetch(metricsUrl, { method: "POST" })).status).toBe(404);
    expect((await fetch(`${server.url}/metrics`)).status).toBe(404);
  });
});

describe("what a collector gets over OTLP, once the server has ended,", () => {
  beforeAll(async () => {
    expect(await server.stop()).toBe(0);
  });

  it("are calls as spans in the traces of their callers", () => {
    const issue = receiver.spans.filter(({ name }) => name === "ichor.v1.AdminService/IssueApiKey");
    expect(issue).toEqual([
      expect.objectContaining({ traceId, parentSpanId: spanId, kind: 2, traceState: "vendor=x", status: 0 }),
    ]);
    expect(issue[0]?.attributes).toMatchObject({
      "rpc.system.name": "connectrpc",
      "rpc.method": "ichor.v1.AdminService/IssueApiKey",
      "rpc.response.status_code": "OK",
      "client.address": "127.0.0.1",
    });
    expect(issue[0]?.resource).toMatchObject({
      "service.name": "ichor",
      "service.version": "0.1.0",
      "deployment.environment.name": "test",
    });
    expect(receiver.headers["x-collector-token"]).toBe("t0ken");
  });

  it("are the uses of the store as steps of the call that made them, and no others", () => {
    const issue = receiver.spans.find(({ name }) => name.endsWith("/IssueApiKey"));
    const steps = receiver.spans.filter(({ name }) => name.startsWith("store."));
    expect(steps).toContainEqual(
      expect.objectContaining({ name: "store.transaction", traceId, parentSpanId: issue?.spanId, kind: 3 }),
    );
    const calls = new Set(receiver.spans.filter(({ kind }) => kind === 2).map(({ spanId }) => spanId));
    expect(steps.filter(({ parentSpanId }) => !calls.has(parentSpanId))).toEqual([]);
  });

  it("are failed calls with their reason, as no error if the caller did wrong", () => {
    const reasons = receiver.spans.map(({ attributes, status }) => [attributes["error.type"], status]);
    expect(reasons).toContainEqual(["CREDENTIAL_REFUSED", 0]);
    expect(reasons).toContainEqual(["INVALID_FIELD", 0]);
  });

  it("are no traces that their caller doesn't record, and new ones where none is named", () => {
    expect(receiver.spans.filter((span) => span.traceId === "a".repeat(32))).toEqual([]);
    const own = receiver.spans.filter((span) => span.kind === 2 && span.parentSpanId === "");
    expect(own.length).toBeGreaterThanOrEqual(4);
    expect(new Set(own.map((span) => span.traceId)).size).toBe(own.length);
  });

  it("are the same metrics that Prometheus gets", () => {
    const inText = [...prometheus.matchAll(/^# HELP (\S+)/gm)].map(([, name = ""]) => name);
    const sent = [...receiver.metrics].map((name) => name.replaceAll(".", "_"));
    expect(sent.length).toBeGreaterThanOrEqual(20);
    expect(sent.filter((name) => !inText.some((text) => text.startsWith(name)))).toEqual([]);
  });

  it("has the trace's id in the line of each call, recorded or not", () => {
    const lines = server.log.filter((line) => line.startsWith("{")).map((line) => JSON.parse(line));
    const calls = lines
      .filter(({ msg }) => msg === "call" || msg === "call failed")
      .filter(({ level }) => level !== "debug");
    expect(calls.length).toBeGreaterThanOrEqual(8);
    expect(calls.filter((line) => !/^[0-9a-f]{32}$/.test(line.traceId))).toEqual([]);
    expect(calls.filter((line) => line.traceId === traceId)).toHaveLength(4);
    expect(calls.filter((line) => line.traceId === "a".repeat(32))).toHaveLength(1);
  });

  it("holds no secret in any form, and neither do metrics; one that was planted is found", () => {
    const told = [...receiver.bodies, Buffer.from(prometheus)];
    const holding = (form: string | Buffer, bytes: readonly Buffer[]) => bytes.filter((each) => each.includes(form));
    const keys = credentials.flatMap((text) => {
      const parsed = parseIssuedKey(text);
      return parsed === undefined ? [text, text.split(".")[2] ?? text] : formsOf(parsed.secret, text);
    });
    const masterKey = loadMasterKeys(join(folder.path, "master.key")).current.key;
    expect(keys.length).toBeGreaterThanOrEqual(12);
    for (const form of [...keys, ...formsOf(masterKey)]) {
      expect(holding(form, told)).toEqual([]);
      expect(holding(form, [...told, Buffer.concat([Buffer.from("x"), Buffer.from(form)])])).toHaveLength(1);
    }
  });
});
