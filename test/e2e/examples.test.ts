import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { cpSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { callJson } from "../support/calls.ts";
import { type RunningCommand, startIchor } from "../support/command-line.ts";
import { tablesOf } from "../support/markdown.ts";
import { installPackages, linkPackage } from "../support/packed-project.ts";
import { plainEnvironment, type ServerProcess, startServer, temporaryFolder } from "../support/server-process.ts";

const data = temporaryFolder("examples-data");
const project = temporaryFolder("examples");
const audience = "https://api.example";
const services: ChildProcess[] = [];
const socketPath = join(data.path, "sidecar.sock");
const sidecars: RunningCommand[] = [];
let server: ServerProcess;
let serviceCredential: string;
let sidecarUrl: string;

beforeAll(async () => {
  server = await startServer({ dataDir: data.path, env: { ICHOR_PUBLIC_URL: "https://keys.example" } });
  installPackages(project.path);
  linkPackage(project.path, "fastify");
  for (const name of examples) cpSync(join("docs/examples", name), join(project.path, name));
  const scopes = ["ichor:keyset:watch", `ichor:verify:aud:${audience}`, "ichor:keys:verify"];
  serviceCredential = (await issue(scopes)).credential;
  await Promise.all([startSidecar("127.0.0.1:0"), startSidecar(`unix:${socketPath}`)]);
}, 120_000);
afterEach(() => {
  for (const service of services.splice(0)) service.kill("SIGTERM");
});
afterAll(async () => {
  await Promise.all(sidecars.map((sidecar) => sidecar.interrupt()));
  await server.stop();
  data.remove();
  project.remove();
});

const examples = readdirSync("docs/examples").filter((name) => name.endsWith(".mjs"));
const call = async (method: string, body: object, credential = server.rootCredential) =>
  (await callJson(server.url, method, credential, body)).body;
const environment = (more: Record<string, string>) => ({ ...plainEnvironment(), ICHOR_URL: server.url, ...more });

async function issue(
  scopes: readonly string[],
  more = {},
): Promise<{ readonly keyId: string; readonly credential: string }> {
  const { apiKey, credential } = await call("AdminService/IssueApiKey", {
    name: "k",
    ownerId: "acme",
    scopes,
    ...more,
  });
  return { keyId: apiKey.id, credential };
}

async function derive(credential: string, format: string): Promise<string> {
  const request = { format, audiences: [audience] };
  return (await call("DerivationService/DeriveToken", request, credential)).token;
}

/** Starts a side-car that is ready there. */
async function startSidecar(place: string): Promise<void> {
  const credentialFile = join(data.path, `${sidecars.length}.key`);
  writeFileSync(credentialFile, serviceCredential, { mode: 0o600 });
  const flags = ["--upstream", server.url, "--credential-file", credentialFile, "--audience", audience];
  const sidecar = startIchor(["sidecar", ...flags, "--listen", place], { cwd: data.path, env: {} });
  sidecars.push(sidecar);
  const { address } = JSON.parse(await sidecar.line((line) => line.includes('"listening"')));
  if (!place.startsWith("unix:")) sidecarUrl = address;
  await sidecar.line((line) => line.includes("follows the server"));
}

/** Runs an example to its end; gives what it printed. */
function run(name: string, more: Record<string, string>): readonly string[] {
  const output = execFileSync(process.execPath, [name], {
    cwd: project.path,
    env: environment(more),
    encoding: "utf8",
  });
  return output.trimEnd().split("\n");
}

/** Starts an example that serves; gives its URL. */
async function serve(name: string): Promise<string> {
  const places = { ICHOR_SIDECAR: sidecarUrl, ICHOR_SOCKET: socketPath };
  const env = environment({ ICHOR_CREDENTIAL: serviceCredential, PORT: "0", ...places });
  const child = spawn(process.execPath, [name], { cwd: project.path, env, stdio: ["ignore", "pipe", "inherit"] });
  services.push(child);
  return new Promise((resolve, reject) => {
    createInterface({ input: child.stdout }).on("line", (line) => {
      const url = /^listening on (\S+)$/.exec(line)?.[1];
      if (url !== undefined) resolve(url);
    });
    child.once("close", (status) => reject(new Error(`${name} ended with ${status}`)));
  });
}

describe("docs/examples", () => {
  it("has every one in its table", () => {
    const [[, ...rows] = []] = tablesOf("docs/examples/README.md");
    const listed = rows.map(([cell = ""]) => /^\[(.+)\]/.exec(cell)?.[1]);
    expect(listed.sort()).toEqual([...examples, "first-call.ts"].sort());
  });

  it("typed-client.mjs issues, verifies, lists and revokes", () => {
    expect(run("typed-client.mjs", { ICHOR_CREDENTIAL: server.rootCredential })).toEqual([
      expect.stringMatching(/^issued key_/),
      "may read reports: true; may pay: false",
      "says of itself that it may reports:*",
      "acme has 1",
      "revoked, everywhere: true",
      expect.stringMatching(/^it is final: /),
    ]);
  });

  it("attenuate.mjs narrows a macaroon that then allows no more", async () => {
    const { credential } = await issue(["invoices:*"]);
    const macaroon = await derive(credential, "TOKEN_FORMAT_MACAROON");
    const [narrowed = ""] = run("attenuate.mjs", { ICHOR_MACAROON: macaroon });
    const ask = async (token: string, more: object) => {
      const demand = { credential: token, audience, requiredScopes: ["invoices:read"], clientIp: "192.0.2.7", ...more };
      return (await call("DerivationService/VerifyToken", { context: { task: "export" }, ...demand })).code;
    };
    expect(await ask(narrowed, {})).toBe("VERIFICATION_CODE_VALID");
    expect(await ask(macaroon, { requiredScopes: ["invoices:write"] })).toBe("VERIFICATION_CODE_VALID");
    expect(await ask(narrowed, { requiredScopes: ["invoices:write"] })).toBe("VERIFICATION_CODE_INSUFFICIENT_SCOPE");
    expect(await ask(narrowed, { clientIp: "198.51.100.1" })).toBe("VERIFICATION_CODE_IP_NOT_ALLOWED");
    expect(await ask(narrowed, { context: {} })).toBe("VERIFICATION_CODE_CONSTRAINT_NOT_MET");
  });

  it.each([
    ["express-middleware.mjs", "/invoices", (body: Body) => body],
    ["fastify-plugin.mjs", "/invoices", (body: Body) => body],
    [
      "connect-interceptor.mjs",
      "/ichor.v1.SelfService/GetSelf",
      ({ apiKey, scopes }: Body) => ({ ownerId: apiKey?.ownerId, keyId: apiKey?.id, scopes }),
    ],
  ])("%s lets in who may, and tells whose call it is, until the key is revoked", async (name, path, callerOf) => {
    const url = await serve(name);
    const overConnect = name.startsWith("connect");
    const request = async (token: string | undefined, to = path, method = overConnect ? "POST" : "GET") => {
      const headers = { ...(token && { authorization: `Bearer ${token}` }), "content-type": "application/json" };
      return fetch(url + to, { method, headers, ...(method === "POST" && { body: "{}" }) });
    };
    const reader = await issue(["invoices:read"]);
    const token = await derive(reader.credential, "TOKEN_FORMAT_JWT");
    const writing = overConnect ? "/ichor.v1.SelfService/RevokeSelf" : path;
    // A side-car begins to follow before it knows all.
    await expect.poll(async () => (await request(token)).status, { timeout: 5_000 }).toBe(200);
    for (const credential of [token, reader.credential]) {
      const good = await request(credential);
      expect(good.status).toBe(200);
      expect(callerOf((await good.json()) as Body)).toEqual({
        ownerId: "acme",
        keyId: reader.keyId,
        scopes: ["invoices:read"],
      });
      expect((await request(credential, writing, "POST")).status).toBe(403);
    }
    expect((await request(undefined)).status).toBe(401);
    expect((await request("nonsense")).status).toBe(401);
    await call("AdminService/RevokeApiKey", { keyId: reader.keyId });
    for (const credential of [token, reader.credential])
      await expect.poll(async () => (await request(credential)).status, { timeout: 5_000 }).toBe(401);
    const limited = await issue(["invoices:read"], { rateLimits: [{ name: "l", limit: "1", period: "3600s" }] });
    expect((await request(limited.credential)).status).toBe(200);
    const refused = await request(limited.credential);
    expect(refused.status).toBe(429);
    expect(Number(refused.headers.get("retry-after"))).toBeGreaterThan(0);
    if (name.startsWith("fastify")) expect((await request(undefined, "/healthz")).status).toBe(200);
  });
});

interface Body {
  readonly apiKey?: { readonly id: string; readonly ownerId: string };
  readonly scopes?: readonly string[];
}
