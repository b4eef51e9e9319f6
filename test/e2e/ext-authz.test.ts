import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { AdminService } from "../../gen/ichor/v1/admin_service_pb.ts";
import { type EnvoyLike, grpcJsEnvoy, pythonEnvoy } from "../support/clients/ext-authz.ts";
import { type RunningCommand, startIchor } from "../support/command-line.ts";
import { requirement } from "../support/requirements.ts";
import { type ServerProcess, startServer, temporaryFolder } from "../support/server-process.ts";

const python = await requirement("python");
const folder = temporaryFolder("ext-authz");
let server: ServerProcess;
let sidecar: RunningCommand;
let host: string;

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
  const args = ["--upstream", server.url, "--credential-file", credentialFile, "--listen", "127.0.0.1:0"];
  sidecar = startIchor(["sidecar", ...args], { cwd: folder.path, env: {} });
  const { address } = JSON.parse(await sidecar.line((line) => line.includes('"listening"')));
  await sidecar.line((line) => line.includes('"follows the server"'));
  host = new URL(address).host;
});
afterAll(async () => {
  await sidecar.interrupt();
  await server.kill();
  folder.remove();
});

/** A request as Envoy describes it, with much that nobody here asks about. */
function described(headers: Record<string, string>, address = "192.0.2.7", scope = "invoices:read") {
  const peer = (of: string, portValue: number) => ({ address: { socketAddress: { address: of, portValue } } });
  return {
    attributes: {
      source: { ...peer(address, 40_000), principal: "spiffe://somebody" },
      destination: peer("192.0.2.1", 443),
      request: {
        http: {
          ...{ id: "17", method: "GET", path: "/invoices/1?x=y", host: "api.example", scheme: "https", size: -1 },
          headers: { ":authority": "api.example", ":path": "/invoices/1?x=y", "user-agent": "u", ...headers },
          protocol: "HTTP/2",
        },
      },
      contextExtensions: { scope },
      metadataContext: { filterMetadata: { "envoy.filters.http.jwt_authn": {} } },
      tlsSession: { sni: "api.example" },
    },
  };
}

const pairs = (options: readonly { header: { key: string; value: string } }[] = []) =>
  Object.fromEntries(options.map(({ header }) => [header.key, header.value]));

/** What the side-car tells whoever speaks Envoy's protocol; the same for each. */
function answersEnvoy(start: () => EnvoyLike): void {
  let envoy: EnvoyLike;
  beforeAll(() => {
    envoy = start();
  });
  afterAll(() => envoy.close());

  it("lets an API key pass, says who called, and takes away what the client said of itself and the credential", async () => {
    const { keyId, credential } = await issue({ ownerId: "acme", allowedCidrs: ["192.0.2.0/24"] });
    const spoofed = { "ichor-principal-key-id": "key_other", "ichor-principal-admin": "1" };
    const { status, okResponse } = await envoy.check(described({ "x-api-key": credential, ...spoofed }));
    expect(Number(status?.code ?? 0)).toBe(0);
    expect(pairs(okResponse.headers)).toMatchObject({
      "ichor-principal-key-id": keyId,
      "ichor-principal-owner-id": "acme",
      "ichor-principal-scopes": "invoices:*",
    });
    for (const { append, appendAction } of okResponse.headers) {
      expect(appendAction).toBe("OVERWRITE_IF_EXISTS_OR_ADD");
      // There, and false: as each of the clients shows a BoolValue.
      expect([{}, false]).toContainEqual(append);
    }
    const gone = okResponse.headersToRemove;
    expect(gone).toEqual(expect.arrayContaining(["x-api-key", "authorization", "ichor-principal-admin"]));
    expect(Object.keys(pairs(okResponse.headers)).filter((name) => gone.includes(name))).toEqual([]);
  });

  it("refuses with 401 and a challenge, 403 and 429", async () => {
    const refusal = async (headers: Record<string, string>, address?: string) => {
      const { status, deniedResponse } = await envoy.check(described(headers, address));
      return [status.code, deniedResponse.status.code, JSON.parse(deniedResponse.body).code, deniedResponse.headers];
    };
    const [code, status, why, headers] = await refusal({});
    expect([code, status, why]).toEqual([16, "Unauthorized", "MISSING"]);
    expect(pairs(headers)).toMatchObject({ "www-authenticate": "Bearer" });
    expect(await refusal({ "x-api-key": "none" })).toMatchObject([16, "Unauthorized", "NOT_FOUND", {}]);
    const bound = await issue({ allowedCidrs: ["192.0.2.0/24"] });
    expect(await refusal({ "x-api-key": bound.credential }, "198.51.100.1")).toMatchObject([
      ...[7, "Forbidden", "IP_NOT_ALLOWED", {}],
    ]);
    const rateLimits = [{ name: "r", limit: 1n, period: { seconds: 3600n, nanos: 0 } }];
    const limited = { "x-api-key": (await issue({ rateLimits })).credential };
    const { okResponse } = await envoy.check(described(limited));
    expect(pairs(okResponse.responseHeadersToAdd).ratelimit).toMatch(/^"r";r=0;t=\d+$/);
    const [, tooMany, , limitHeaders] = await refusal(limited);
    expect(tooMany).toBe("TooManyRequests");
    expect(Number(pairs(limitHeaders)["retry-after"])).toBeGreaterThan(3_000);
  });

  it("refuses a key that was revoked at the server", async () => {
    const { keyId, credential } = await issue();
    const ask = async () => Number((await envoy.check(described({ "x-api-key": credential }))).status?.code ?? 0);
    expect(await ask()).toBe(0);
    await admin().revokeApiKey({ keyId }, call());
    await expect.poll(ask, { interval: 5, timeout: 10_000 }).toBe(16);
  });
}

describe("ext_authz by @grpc/grpc-js with Envoy's protos", () => answersEnvoy(() => grpcJsEnvoy(host)));
python.describe("ext_authz by grpcio with Envoy's protos", (interpreter) =>
  answersEnvoy(() => pythonEnvoy(interpreter, host)),
);
