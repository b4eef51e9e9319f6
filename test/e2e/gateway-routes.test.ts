import { type ChildProcess, spawn } from "node:child_process";
import { cpSync, readFileSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { type AddressInfo, connect } from "node:net";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { afterAll, beforeAll, expect, it } from "vitest";
import { AdminService } from "../../gen/ichor/v1/admin_service_pb.ts";
import { type RunningCommand, startIchor } from "../support/command-line.ts";
import { type Gateway, type StartGateway, startCaddy, startNginx } from "../support/gateway.ts";
import { installPackages, linkPackage } from "../support/packed-project.ts";
import { requirement } from "../support/requirements.ts";
import { plainEnvironment, type ServerProcess, startServer, temporaryFolder } from "../support/server-process.ts";

// Gateways with routes in a file before services that verify the token which they get in place of the key.

const nginx = await requirement("nginx");
const caddy = await requirement("caddy");
const audience = "https://api.example";
const folder = temporaryFolder("gateway-routes");
const project = temporaryFolder("gateway-services");
const children: ChildProcess[] = [];
const sidecars: RunningCommand[] = [];
let server: ServerProcess;
let recorder: Server;
/** Targets that have reached the service which only notes them. */
let reached: string[] = [];
const services: Record<string, string> = {};

const call = () => ({ headers: { authorization: `Bearer ${server.rootCredential}` } });
const admin = () => createClient(AdminService, createConnectTransport({ baseUrl: server.url, httpVersion: "2" }));
const hostOf = (url: string) => new URL(url).host;

async function issue(scopes: string[]): Promise<string> {
  return (await admin().issueApiKey({ name: "k", ownerId: "acme", scopes }, call())).credential;
}

beforeAll(async () => {
  server = await startServer({
    dataDir: join(folder.path, "server"),
    env: { ICHOR_PUBLIC_URL: "https://keys.example" },
  });
  installPackages(project.path);
  linkPackage(project.path, "fastify");
  const scopes = ["ichor:keyset:watch", "ichor:keys:verify", "ichor:tokens:derive", `ichor:verify:aud:${audience}`];
  const credential = await issue(scopes);
  writeFileSync(join(folder.path, "sidecar.key"), credential, { mode: 0o600 });
  // What the examples need that take keys, too.
  const beside = join(folder.path, "beside.sock");
  const besideUrl = await startSidecar("--audience", audience, "--listen", `unix:${beside}`);
  const own = { ICHOR_URL: server.url, ICHOR_CREDENTIAL: credential, ICHOR_SOCKET: beside, ICHOR_SIDECAR: besideUrl };
  await Promise.all(
    ["express-middleware", "fastify-plugin", "connect-interceptor"].map(async (name) => {
      services[name] = await startService(name, own);
    }),
  );
  recorder = createServer((request, response) => {
    reached.push(request.url ?? "");
    response.end();
  });
  await new Promise<void>((resolve) => recorder.listen(0, "127.0.0.1", resolve));
  services.recorder = `127.0.0.1:${(recorder.address() as AddressInfo).port}`;
});
afterAll(async () => {
  for (const child of children) child.kill("SIGTERM");
  await Promise.all(sidecars.map((sidecar) => sidecar.interrupt()));
  recorder.close();
  await server.stop();
  folder.remove();
  project.remove();
});

/** Starts an example of the verifier as a service; gives its host and port. */
async function startService(name: string, own: Record<string, string>): Promise<string> {
  cpSync(`docs/examples/${name}.mjs`, join(project.path, `${name}.mjs`));
  const child = spawn(process.execPath, [`${name}.mjs`], {
    ...{ cwd: project.path, env: { ...plainEnvironment(), ...own, PORT: "0" } },
    stdio: ["ignore", "pipe", "inherit"],
  });
  children.push(child);
  for await (const line of createInterface({ input: child.stdout })) {
    const [, url] = /listening on (\S+)/.exec(line) ?? [];
    if (url !== undefined) return hostOf(url);
  }
  throw new Error(`${name} ended`);
}

/** Starts a side-car; gives where it listens. */
async function startSidecar(...flags: string[]): Promise<string> {
  const args = ["sidecar", "--upstream", server.url, "--credential-file", join(folder.path, "sidecar.key")];
  const sidecar = startIchor([...args, ...flags], { cwd: folder.path, env: {} });
  sidecars.push(sidecar);
  const { address } = JSON.parse(await sidecar.line((line) => line.includes('"listening"')));
  await sidecar.line((line) => line.includes('"follows the server"'));
  return address;
}

/** Starts one with the routes of the example, for a gateway that tells requests so. */
async function startForGateway(requestFrom: string, ...more: string[]): Promise<string> {
  const example = readFileSync("docs/examples/gateways/routes.yaml", "utf8");
  const routes = join(folder.path, `${requestFrom}.yaml`);
  const own = "  - pathPrefix: /ichor.v1.SelfService\n    scopes: [invoices:read]\n";
  writeFileSync(routes, example.replace("requestFrom: x-forwarded", `requestFrom: ${requestFrom}`) + own);
  const flags = ["--listen", "127.0.0.1:0", "--client-ip-header", "X-Real-IP", "--routes", routes];
  return hostOf(await startSidecar(...flags, "--upstream-jwt", audience, ...more));
}

function guardsByRoutes(
  startSide: () => Promise<string>,
  start: (sidecar: string, service: string) => Promise<Gateway>,
) {
  const gateways: Record<string, Gateway> = {};
  beforeAll(async () => {
    const sidecar = await startSide();
    for (const [name, service] of Object.entries(services)) gateways[name] = await start(sidecar, service);
  });
  afterAll(() => Promise.all(Object.values(gateways).map((gateway) => gateway.stop())));
  const ask = (service: string, path: string, credential?: string, method = "GET") => {
    const headers: Record<string, string> = credential === undefined ? {} : { "x-api-key": credential };
    return fetch(`${gateways[service]?.url}${path}`, { method, headers });
  };

  // These scopes are the token's: the key has more, and the services take keys as well.
  const narrowed = ["invoices:read"];

  it.each(["express-middleware", "fastify-plugin"])(
    "gives the service a token in place of the key: %s",
    async (name) => {
      const response = await ask(name, "/invoices", await issue(["invoices:*", "more"]));
      expect([response.status, await response.json()]).toMatchObject([200, { ownerId: "acme", scopes: narrowed }]);
      expect((await ask(name, "/invoices", await issue(["invoices:read"]), "POST")).status).toBe(403);
      expect((await ask(name, "/invoices")).status).toBe(401);
    },
  );

  it("does so for a call from service to service, by Connect", async () => {
    const headers = { "content-type": "application/json", "x-api-key": await issue(["invoices:*", "more"]) };
    const url = `${gateways["connect-interceptor"]?.url}/ichor.v1.SelfService/GetSelf`;
    const response = await fetch(url, { method: "POST", headers, body: "{}" });
    expect([response.status, await response.json()]).toMatchObject([
      200,
      { apiKey: { ownerId: "acme" }, scopes: narrowed },
    ]);
  });

  it("lets everybody reach what asks for no credential, and nobody what fits no route", async () => {
    expect((await ask("fastify-plugin", "/healthz")).status).toBe(200);
    expect((await ask("recorder", "/catalogue/1")).status).toBe(200);
    expect((await ask("recorder", "/catalogue/1", "none")).status).toBe(401);
    for (const path of ["/", "/healthz/more", "/other"])
      expect((await ask("recorder", path, await issue(["invoices:*"]))).status).toBe(403);
  });

  it.each([
    ...["/catalogue/../invoices", "/catalogue/%2e%2e/invoices", "/catalogue/..%2finvoices", "/catalogue/..;/invoices"],
    ...["//invoices", "/catalogue//../invoices", "/invoices;x", "/%69nvoices", "/Catalogue/../invoices", "/./invoices"],
    ...[
      "/catalogue/.%2e/invoices",
      "/catalogue\\..\\invoices",
      "/catalogue/%5c../invoices",
      "/catalogue%00/../../invoices",
    ],
    ...["http://HOST/catalogue/../invoices", "/CATALOGUE/1", "/healthz/", "/catalogue/%ef%bc%8e%ef%bc%8e/invoices"],
  ])("lets nobody reach the service by %s", async (target) => {
    const url = new URL(gateways.recorder?.url ?? "");
    reached = [];
    const spoofed = ["X-Forwarded-Uri: /catalogue", "X-Original-URI: /catalogue", "X-Original-Method: GET"];
    const status = await rawStatus(url, `GET ${target.replace("HOST", url.host)} HTTP/1.1`, [
      `Host: ${url.host}`,
      ...spoofed,
    ]);
    expect(reached).toEqual([]);
    expect([400, 401, 403, 404]).toContain(status);
  });

  it.each(["X-HTTP-Method-Override: DELETE", "X-Original-URL: /invoices", "X-Rewrite-URL: /invoices"])(
    "lets nobody ask the service for another thing than the gateway: %s",
    async (line) => {
      const url = new URL(gateways.recorder?.url ?? "");
      reached = [];
      expect(await rawStatus(url, "GET /catalogue/1 HTTP/1.1", [`Host: ${url.host}`, line])).toBe(400);
      expect(reached).toEqual([]);
    },
  );
}

nginx.describe("nginx, with routes in a file", (program) => {
  const before = (start: StartGateway) => (sidecar: string, service: string) =>
    start(program, folder.path, { sidecar, service }, "nginx-routes.conf");
  guardsByRoutes(() => startForGateway("x-original"), before(startNginx));
});

caddy.describe("Caddy, with routes in a file", (program) => {
  const before = (start: StartGateway) => (sidecar: string, service: string) =>
    start(program, folder.path, { sidecar, service }, "Caddyfile-routes");
  guardsByRoutes(() => startForGateway("x-forwarded", "--upstream-jwt-header", "Ichor-Token"), before(startCaddy));
});

/** The status of a request that is written as it is. */
function rawStatus({ hostname, port }: URL, line: string, headers: readonly string[]): Promise<number> {
  return new Promise((resolve, reject) => {
    const socket = connect(Number(port), hostname);
    let text = "";
    socket.on("data", (data) => {
      text += data;
    });
    socket.once("close", () => resolve(Number(/^HTTP\/1\.1 (\d{3})/.exec(text)?.[1])));
    socket.once("error", reject);
    socket.write(`${[line, ...headers, "Connection: close"].join("\r\n")}\r\n\r\n`);
  });
}
