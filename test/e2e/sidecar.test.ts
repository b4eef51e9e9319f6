import { writeFileSync } from "node:fs";
import { request } from "node:http";
import { join } from "node:path";
import { createClient } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport, createGrpcWebTransport } from "@connectrpc/connect-node";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { AdminService } from "../../gen/ichor/v1/admin_service_pb.ts";
import { type RunningCommand, runIchor, startIchor } from "../support/command-line.ts";
import { type ServerProcess, startServer, temporaryFolder } from "../support/server-process.ts";

const folder = temporaryFolder("sidecar");
const credentialFile = join(folder.path, "sidecar.key");
const socketPath = join(folder.path, "sidecar.sock");
let server: ServerProcess;
let sidecar: RunningCommand;
let url: string;
let own: string;
let credential: string;

const run = (...more: string[]) => ["sidecar", "--upstream", server.url, "--credential-file", credentialFile, ...more];
const options = { cwd: folder.path, env: {} };

async function addressOf(command: RunningCommand): Promise<string> {
  return JSON.parse(await command.line((line) => line.includes('"listening"'))).address;
}

beforeAll(async () => {
  server = await startServer({ dataDir: join(folder.path, "server") });
  const admin = createClient(AdminService, createConnectTransport({ baseUrl: server.url, httpVersion: "2" }));
  const headers = { authorization: `Bearer ${server.rootCredential}` };
  const scopes = ["ichor:keyset:watch", "ichor:keys:verify"];
  own = (await admin.issueApiKey({ name: "side-car", scopes }, { headers })).credential;
  writeFileSync(credentialFile, own, { mode: 0o600 });
  credential = (await admin.issueApiKey({ name: "k", scopes: ["a"] }, { headers })).credential;
  sidecar = startIchor(run("--listen", "127.0.0.1:0"), options);
  url = await addressOf(sidecar);
});
afterAll(async () => {
  const { status, stderr } = await sidecar.interrupt();
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  for (const secret of [own, credential]) expect(sidecar.lines.join("\n")).not.toContain(secret);
  await server.stop();
  folder.remove();
});

describe("ichor sidecar", () => {
  it.each([
    [
      "Connect JSON over HTTP/1.1",
      () => createConnectTransport({ baseUrl: url, httpVersion: "1.1", useBinaryFormat: false }),
    ],
    ["Connect binary over HTTP/2", () => createConnectTransport({ baseUrl: url, httpVersion: "2" })],
    ["gRPC", () => createGrpcTransport({ baseUrl: url })],
    ["gRPC-Web", () => createGrpcWebTransport({ baseUrl: url, httpVersion: "1.1" })],
  ])("answers by %s, without a credential of the caller", async (_, transport) => {
    const client = createClient(AdminService, transport());
    const { valid, key } = await client.verifyCredential({ credential, requiredScopes: ["a"] });
    expect({ valid, scopes: key?.scopes }).toEqual({ valid: true, scopes: ["a"] });
  });

  it("tells that it is ready", async () => {
    await expect.poll(async () => (await fetch(`${url}/readyz`)).status).toBe(200);
  });

  it("serves nothing of the server's but to verify", async () => {
    for (const path of ["ichor.v1.AdminService/IssueApiKey", "ichor.v1.DerivationService/DeriveToken"]) {
      const headers = { "content-type": "application/json", authorization: `Bearer ${server.rootCredential}` };
      const response = await fetch(`${url}/${path}`, { method: "POST", headers, body: "{}" });
      expect([path, response.status]).toEqual([path, 404]);
    }
  });

  it("listens on a Unix socket, also where a killed one has left its own", async () => {
    for (let i = 0; i < 2; i++) {
      const other = startIchor(run("--listen", `unix:${socketPath}`), options);
      expect(await addressOf(other)).toBe(`unix:${socketPath}`);
      const body = JSON.stringify({ credential });
      expect(await postOverSocket("/ichor.v1.AdminService/VerifyCredential", body)).toMatchObject({ valid: true });
      if (i === 0) await other.kill();
      else expect((await other.interrupt()).status).toBe(0);
    }
  });

  it("takes its settings from a file, too, and reads it again at SIGHUP", async () => {
    const file = join(folder.path, "sidecar.yaml");
    const settings = [`upstream: ${server.url}`, `credentialFile: ${credentialFile}`, "listen: 127.0.0.1:0"];
    writeFileSync(file, settings.join("\n"));
    const other = startIchor(["sidecar", "--config", file], options);
    await addressOf(other);
    writeFileSync(file, [...settings, "logLevel: warn", "maxStaleness: 1m"].join("\n"));
    other.reload();
    expect(JSON.parse(await other.line((line) => line.includes("needRestart")))).toMatchObject({
      needRestart: ["maxStaleness"],
    });
    expect((await other.interrupt()).status).toBe(0);
  });

  it("goes on with another key of its own, which it reads at SIGHUP", async () => {
    const headers = { authorization: `Bearer ${server.rootCredential}` };
    const admin = createClient(AdminService, createConnectTransport({ baseUrl: server.url, httpVersion: "2" }));
    const scopes = ["ichor:keyset:watch", "ichor:keys:verify"];
    const { apiKey, credential: first } = await admin.issueApiKey({ name: "rotated", scopes }, { headers });
    const file = join(folder.path, "rotated.key");
    writeFileSync(file, first, { mode: 0o600 });
    const flags = ["--upstream", server.url, "--credential-file", file, "--listen", "127.0.0.1:0"];
    const other = startIchor(["sidecar", ...flags], options);
    const baseUrl = await addressOf(other);
    const ask = createClient(AdminService, createConnectTransport({ baseUrl, httpVersion: "1.1" })).verifyCredential;
    const validOf = async () => {
      const fresh = await admin.issueApiKey({ name: "k" }, { headers });
      return ask({ credential: fresh.credential }).then(
        ({ valid }) => valid,
        () => undefined,
      );
    };
    await expect.poll(validOf, { timeout: 10_000 }).toBe(true);
    const gracePeriod = { seconds: 0n, nanos: 0 };
    const second = await admin.rotateApiKey({ keyId: apiKey?.id ?? "", gracePeriod }, { headers });
    await expect.poll(validOf, { timeout: 10_000 }).toBe(undefined);
    writeFileSync(file, second.credential, { mode: 0o600 });
    other.reload();
    await expect.poll(validOf, { timeout: 10_000 }).toBe(true);
    const followed = () => other.lines.filter((line) => line.includes("follows the server")).length;
    await expect.poll(followed, { timeout: 30_000 }).toBeGreaterThanOrEqual(2);
    expect((await other.interrupt()).status).toBe(0);
    for (const secret of [first, second.credential]) expect(other.lines.join("\n")).not.toContain(secret);
  });

  it("refuses to start with wrong settings, and tells all of them at once", () => {
    const env = { ICHOR_SIDECAR_LISTEN: "8421", ICHOR_SIDECAR_PORT: "1" };
    const { status, stderr } = runIchor(["sidecar", "--upstream", "keys.example"], { ...options, env });
    expect(status).toBe(2);
    expect(stderr.split("\n").slice(1, 5)).toEqual([
      expect.stringContaining("ICHOR_SIDECAR_PORT is not a setting"),
      expect.stringContaining("--upstream must be"),
      expect.stringContaining("--credential-file is needed"),
      expect.stringContaining("ICHOR_SIDECAR_LISTEN must be"),
    ]);
  });

  it.each([
    ["an address that isn't loopback", ["--listen", "0.0.0.0:0"], /--allow-remote/],
    ["an address that is taken", [], /can't listen/],
  ])("refuses to start with %s", (_, more, sentence) => {
    const place = more.includes("--listen") ? [] : ["--listen", new URL(url).host];
    const { status, stderr } = runIchor(run(...more, ...place), options);
    expect(status).not.toBe(0);
    expect(stderr).toMatch(sentence);
  });
});

function postOverSocket(path: string, body: string): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const headers = { "content-type": "application/json", "content-length": Buffer.byteLength(body) };
    const sent = request({ socketPath, path, method: "POST", headers }, async (response) => {
      const chunks = await response.toArray();
      resolve(JSON.parse(Buffer.concat(chunks).toString()));
    });
    sent.once("error", reject);
    sent.end(body);
  });
}
