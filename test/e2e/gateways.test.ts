import { writeFileSync } from "node:fs";
import { createServer, type IncomingHttpHeaders, type Server } from "node:http";
import { type AddressInfo, connect } from "node:net";
import { join } from "node:path";
import { createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { afterAll, beforeAll, expect, it } from "vitest";
import { AdminService } from "../../gen/ichor/v1/admin_service_pb.ts";
import { type RunningCommand, startIchor } from "../support/command-line.ts";
import { type Behind, type Gateway, startCaddy, startNginx } from "../support/gateway.ts";
import { requirement } from "../support/requirements.ts";
import { type ServerProcess, startServer, temporaryFolder } from "../support/server-process.ts";

const nginx = await requirement("nginx");
const caddy = await requirement("caddy");
const folder = temporaryFolder("gateways");
let server: ServerProcess;
let sidecar: RunningCommand;
let service: Server;
let behind: Behind;
/** What the service behind the gateway got last. */
let got: IncomingHttpHeaders = {};
let gotRaw: readonly string[] = [];

const call = () => ({ headers: { authorization: `Bearer ${server.rootCredential}` } });
const admin = () => createClient(AdminService, createConnectTransport({ baseUrl: server.url, httpVersion: "2" }));

async function issue(fields: object = {}) {
  const { apiKey, credential } = await admin().issueApiKey({ name: "k", scopes: ["invoices:*"], ...fields }, call());
  return { keyId: apiKey?.id ?? "", credential };
}

beforeAll(async () => {
  server = await startServer({ dataDir: join(folder.path, "server") });
  const credentialFile = join(folder.path, "sidecar.key");
  const own = await issue({ scopes: ["ichor:keyset:watch", "ichor:keys:verify"] });
  writeFileSync(credentialFile, own.credential, { mode: 0o600 });
  const place = ["--listen", "127.0.0.1:0", "--max-staleness", "6s", "--client-ip-header", "X-Real-IP"];
  const args = ["sidecar", "--upstream", server.url, "--credential-file", credentialFile, ...place];
  sidecar = startIchor(args, { cwd: folder.path, env: {} });
  const { address } = JSON.parse(await sidecar.line((line) => line.includes('"listening"')));
  await sidecar.line((line) => line.includes('"follows the server"'));
  service = createServer((request, response) => {
    got = request.headers;
    gotRaw = request.rawHeaders;
    response.end("hello");
  });
  await new Promise<void>((resolve) => service.listen(0, "127.0.0.1", resolve));
  const { port } = service.address() as AddressInfo;
  behind = { sidecar: new URL(address).host, service: `127.0.0.1:${port}` };
});
afterAll(async () => {
  await sidecar.interrupt();
  await server.kill();
  service.close();
  folder.remove();
});

/** What every gateway must do with the side-car's answers; the same for each. */
function passesOnlyWhatMayPass(gateway: () => Gateway): void {
  const ask = (headers: Record<string, string>) => fetch(`${gateway().url}/invoices?scope=x`, { headers });
  const statusOf = async (credential: string) => (await ask({ "x-api-key": credential })).status;

  it("lets an API key pass and tells the service who called, not by what the client says of itself", async () => {
    const { keyId, credential } = await issue({ ownerId: "acme" });
    const response = await ask({
      authorization: `Bearer ${credential}`,
      "Ichor-Principal-Key-Id": "key_of_somebody_else",
      "ichor-principal-token-id": "tok_of_somebody_else",
    });
    expect([response.status, await response.text()]).toEqual([200, "hello"]);
    expect(got).toMatchObject({
      "ichor-principal-version": "1",
      "ichor-principal-key-id": keyId,
      "ichor-principal-owner-id": "acme",
      "ichor-principal-scopes": "invoices:*",
    });
    expect(got["ichor-principal-token-id"] ?? "").toBe("");
    expect(JSON.stringify(got)).not.toContain(credential);
  });

  it("refuses with 401 and a challenge, and with 403", async () => {
    const response = await ask({});
    expect([response.status, response.headers.get("www-authenticate")]).toEqual([401, "Bearer"]);
    expect(await statusOf("no-such-credential")).toBe(401);
    const narrow = await ask({ "x-api-key": (await issue({ scopes: ["orders:*"] })).credential });
    const lacking = 'Bearer error="insufficient_scope", scope="invoices:read"';
    expect([narrow.status, narrow.headers.get("www-authenticate")]).toEqual([403, lacking]);
    expect(await statusOf((await issue({ allowedCidrs: ["10.0.0.0/8"] })).credential)).toBe(403);
    expect(await statusOf((await issue({ allowedCidrs: ["127.0.0.1/32"] })).credential)).toBe(200);
  });

  it("refuses a key that was revoked at the server", async () => {
    const { keyId, credential } = await issue();
    const other = await issue();
    expect([await statusOf(credential), await statusOf(other.credential)]).toEqual([200, 200]);
    await admin().revokeApiKey({ keyId }, call());
    await expect.poll(() => statusOf(credential), { interval: 5, timeout: 10_000 }).toBe(401);
    expect(await statusOf(other.credential)).toBe(200);
  });

  it.each([
    ["claims to be another", ["Ichor-Principal-Key-Id: key_x", "ICHOR-PRINCIPAL-KEY-ID: key_y"]],
    ["does so by CGI's rules", ["Ichor_Principal_Key_Id: key_x"]],
    ["does so with other marks", ["Ichor.Principal.Key.Id: key_x", "Ichor-Principal_Key-Id: key_y"]],
    ["does so with a space", ["Ichor-Principal-Key-Id : key_x"]],
    ["does so in a folded line", ["X-Any: 1", " Ichor-Principal-Key-Id: key_x"]],
    ["lets a proxy take who called for a matter of the connection", ["Connection: close, Ichor-Principal-Key-Id"]],
    ["does so twice", ["Connection: Ichor-Principal-Key-Id", "Connection: ichor-principal-owner-id"]],
  ])("tells the service who called, or nothing, if a client %s", async (_, lines) => {
    const { keyId, credential } = await issue({ ownerId: "acme" });
    gotRaw = [];
    const status = await rawStatus(gateway().url, [`X-API-Key: ${credential}`, ...lines]);
    const told = gotRaw.flatMap((name, i) => {
      const folded = name.toLowerCase().replace(/[^a-z0-9]/g, "-");
      return i % 2 === 0 && folded === "ichor-principal-key-id" ? [gotRaw[i + 1]] : [];
    });
    expect([status, told]).toEqual(status === 200 ? [200, [keyId]] : [400, []]);
  });

  it.each([
    ["two credentials", ["X-API-Key: CREDENTIAL", "Authorization: Bearer CREDENTIAL"], [400]],
    ["a credential twice", ["X-API-Key: CREDENTIAL", "x-api-key: CREDENTIAL"], [400]],
    ["two Authorization headers", ["Authorization: Bearer CREDENTIAL", "authorization: Bearer other"], [400]],
    ["a credential by CGI's rules", ["X_API_Key: CREDENTIAL"], [401]],
    // Beyond what nginx takes in one header, and beyond what a credential may be.
    ["a credential of 9 KB", [`X-API-Key: ${"x".repeat(9_000)}`], [400, 401]],
    ["headers of 20 KB", ["X-API-Key: CREDENTIAL", `X-Any: ${"x".repeat(20_000)}`], [400, 431, 503]],
  ])("doesn't let %s pass", async (_, lines, statuses) => {
    const { credential } = await issue();
    gotRaw = [];
    const sent = lines.map((line) => line.replace("CREDENTIAL", credential));
    expect(statuses).toContain(await rawStatus(gateway().url, sent));
    expect(gotRaw).toEqual([]);
  });

  it("passes a body on, in one piece or in chunks, and asks without it", async () => {
    const { credential } = await issue();
    const body = ["Content-Length: 5\r\n\r\nabcde", "Transfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n0\r\n\r\n"];
    for (const each of body)
      expect(await rawStatus(gateway().url, [`X-API-Key: ${credential}`, each], "POST")).toBe(200);
  });

  it("passes on that a rate limit is used up, and when to come back", async () => {
    const rateLimits = [{ name: "r", limit: 1n, period: { seconds: 3600n, nanos: 0 } }];
    const { credential } = await issue({ rateLimits });
    expect(await statusOf(credential)).toBe(200);
    const response = await ask({ "x-api-key": credential });
    expect(response.status).toBe(429);
    expect(Number(response.headers.get("retry-after"))).toBeGreaterThan(3_000);
    expect(response.headers.get("ratelimit")).toMatch(/^"r";r=0;t=\d+$/);
  });
}

caddy.describe("Caddy before a service", (program) => {
  let gateway: Gateway;
  beforeAll(async () => {
    gateway = await startCaddy(program, folder.path, behind);
  });
  afterAll(() => gateway.stop());
  passesOnlyWhatMayPass(() => gateway);
});

nginx.describe("nginx before a service", (program) => {
  let gateway: Gateway;
  beforeAll(async () => {
    gateway = await startNginx(program, folder.path, behind);
  });
  afterAll(() => gateway.stop());
  passesOnlyWhatMayPass(() => gateway);

  it("goes on when the server is gone, then answers 503", async () => {
    const { credential } = await issue();
    const ask = () => fetch(gateway.url, { headers: { "x-api-key": credential } });
    expect((await ask()).status).toBe(200);
    await server.kill();
    expect((await ask()).status).toBe(200);
    expect((await fetch(gateway.url, { headers: { "x-api-key": "never-seen-credential" } })).status).toBe(503);
    await expect.poll(async () => (await ask()).status, { interval: 100, timeout: 20_000 }).toBe(503);
    expect((await ask()).headers.get("retry-after")).toBe("1");
  });
});

/** The status of a request with these lines, written as they are. */
function rawStatus(url: string, lines: readonly string[], method = "GET"): Promise<number> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve, reject) => {
    const socket = connect(Number(port), hostname);
    let text = "";
    socket.on("data", (data) => {
      text += data;
      // Some keep the connection.
      if (text.includes("\r\n\r\n")) socket.end();
    });
    socket.once("close", () => resolve(Number(/^HTTP\/1\.1 (\d{3})/.exec(text)?.[1])));
    socket.once("error", reject);
    const head = [`${method} /invoices HTTP/1.1`, `Host: ${hostname}:${port}`, ...lines].join("\r\n");
    socket.write(head.includes("\r\n\r\n") ? head : `${head}\r\n\r\n`);
  });
}
