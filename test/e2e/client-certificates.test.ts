import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { TLSSocket } from "node:tls";
import { connect as connectTls } from "node:tls";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport } from "@connectrpc/connect-node";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { AdminService } from "../../gen/ichor/v1/admin_service_pb.ts";
import { DerivationService } from "../../gen/ichor/v1/derivation_service_pb.ts";
import { SelfService } from "../../gen/ichor/v1/self_service_pb.ts";
import { type Authority, makeAuthority, makeCertificate } from "../support/certificate.ts";
import { type ServerProcess, startServer, temporaryFolder } from "../support/server-process.ts";

const folder = temporaryFolder("mtls");
const configFile = join(folder.path, "ichor.yaml");
const gateway = "URI:spiffe://prod/gateway";
type Identity = Partial<ReturnType<Authority["issue"]>>;

let trusted: Authority;
let server: ServerProcess;
let serverCa: Buffer;
/** The key that the gateway's certificate stands for, which may read keys. */
let keyId: string;
let good: Identity;

const asRoot = () => ({ headers: { authorization: `Bearer ${server.rootCredential}` } });
const transports = {
  "Connect over HTTP/1.1": (identity: Identity) =>
    createConnectTransport({ baseUrl: server.url, httpVersion: "1.1", nodeOptions: { ca: serverCa, ...identity } }),
  "Connect over HTTP/2": (identity: Identity) =>
    createConnectTransport({ baseUrl: server.url, httpVersion: "2", nodeOptions: { ca: serverCa, ...identity } }),
  gRPC: (identity: Identity) =>
    createGrpcTransport({ baseUrl: server.url, nodeOptions: { ca: serverCa, ...identity } }),
};
const admin = (identity: Identity, by: keyof typeof transports = "Connect over HTTP/1.1") =>
  createClient(AdminService, transports[by](identity));

/** Who a call without a credential is to the server: the key that answers, or the reason of the refusal. */
async function callerBy(identity: Identity, by?: keyof typeof transports, headers = {}): Promise<string> {
  const call = admin(identity, by).getApiKey({ keyId }, { headers });
  return call.then(
    ({ apiKey }) => apiKey?.id ?? "",
    (error: unknown) => Code[ConnectError.from(error).code],
  );
}

async function start(clientAuth: string): Promise<void> {
  writeFileSync(configFile, yaml());
  server = await startServer({
    dataDir: join(folder.path, "data"),
    env: {
      ICHOR_CONFIG_FILE: configFile,
      ICHOR_TLS_CERT_FILE: join(folder.path, "cert.pem"),
      ICHOR_TLS_KEY_FILE: join(folder.path, "key.pem"),
      ICHOR_TLS_CLIENT_CA_FILE: join(folder.path, "ca.pem"),
      ICHOR_TLS_CLIENT_AUTH: clientAuth,
    },
  });
}

function yaml(...entries: string[]): string {
  return entries.length === 0 ? "" : `tlsClientKeys:\n${entries.map((entry) => `  - ${entry}\n`).join("")}`;
}

/** Sets which certificates stand for which keys, while the server runs. */
async function reload(...entries: string[]): Promise<void> {
  const from = server.log.length;
  writeFileSync(configFile, yaml(...entries));
  process.kill(server.pid, "SIGHUP");
  await vi.waitFor(() => expect(server.log.slice(from).join("\n")).toContain("configuration reloaded"), {
    timeout: 10_000,
  });
}

async function restOf(stream: AsyncIterator<unknown>): Promise<void> {
  while ((await stream.next()).done !== true);
}

beforeAll(async () => {
  trusted = makeAuthority(folder.path, "trusted");
  writeFileSync(join(folder.path, "ca.pem"), readFileSync(trusted.certFile));
  serverCa = readFileSync(makeCertificate(folder.path).certFile);
  good = trusted.issue("gateway", { names: [gateway, "DNS:gateway.internal"] });
  await start("optional");
  const { apiKey } = await admin({}).issueApiKey(
    { name: "gateway", scopes: ["ichor:keys:read", "ichor:keyset:watch"] },
    asRoot(),
  );
  keyId = apiKey?.id ?? "";
}, 60_000);
afterAll(async () => {
  await server.stop();
  folder.remove();
});

describe("a client certificate", () => {
  it("names nobody unless its name is one that the configuration gives a key", async () => {
    expect(await callerBy(good)).toBe("Unauthenticated");
    await reload(`${gateway}=${keyId}`);
    expect(await callerBy(good)).toBe(keyId);
    expect(await callerBy(trusted.issue("other", { names: ["URI:spiffe://prod/gateway2"] }))).toBe("Unauthenticated");
    expect(await callerBy(trusted.issue("quoted", { names: [`URI:x, ${gateway}`] }))).toBe("Unauthenticated");
  });

  it.each(Object.keys(transports) as (keyof typeof transports)[])("names its key over %s", async (by) => {
    expect(await callerBy(good, by)).toBe(keyId);
    expect(await callerBy({}, by)).toBe("Unauthenticated");
  });

  it("gives its caller what the key may, and nothing that is its holder's", async () => {
    await expect(admin(good).issueApiKey({ name: "a" })).rejects.toMatchObject({ code: Code.PermissionDenied });
    const self = createClient(SelfService, transports["Connect over HTTP/2"](good));
    await expect(self.getSelf({})).rejects.toMatchObject({ code: Code.Unauthenticated });
    await expect(self.rotateSelf({})).rejects.toMatchObject({ code: Code.Unauthenticated });
  });

  it("counts for nothing beside a credential, good or bad, and from a page in a browser", async () => {
    await expect(admin(good).issueApiKey({ name: "b" }, asRoot())).resolves.toBeDefined();
    expect(await callerBy(good, undefined, { authorization: "Bearer ichor_sk_nobody" })).toBe("Unauthenticated");
    expect(await callerBy(good, undefined, { origin: "https://app.example" })).toBe("Unauthenticated");
  });

  it.each([
    [
      "is of an authority that isn't trusted",
      () => makeAuthority(folder.path, "foreign").issue("gateway", { names: [gateway] }),
    ],
    ["has ended", () => trusted.issue("ended", { names: [gateway], expired: true })],
    ["is for servers", () => trusted.issue("server", { names: [gateway], usage: "serverAuth" })],
  ])("ends the connection if it %s, also where none is required", async (_what, make) => {
    await expect(admin(make()).getApiKey({ keyId }, asRoot())).rejects.toThrow();
    await expect(admin(make(), "Connect over HTTP/2").getApiKey({ keyId }, asRoot())).rejects.toThrow();
    expect(await callerBy(good)).toBe(keyId);
  });

  it("is refused with names of several keys", async () => {
    const { apiKey } = await admin({}).issueApiKey({ name: "c", scopes: ["ichor:keys:read"] }, asRoot());
    await reload(`${gateway}=${keyId}`, `DNS:gateway.internal=${apiKey?.id}`);
    expect(await callerBy(good)).toBe("Unauthenticated");
    await reload(`${gateway}=${keyId}`);
    expect(await callerBy(good)).toBe(keyId);
  });

  it("ends with its key, on connections that are open", async () => {
    const client = admin(good, "Connect over HTTP/2");
    expect((await client.getApiKey({ keyId })).apiKey?.id).toBe(keyId);
    await admin({}).disableApiKey({ keyId }, asRoot());
    await expect(client.getApiKey({ keyId })).rejects.toMatchObject({ code: Code.Unauthenticated });
    await admin({}).enableApiKey({ keyId }, asRoot());
    const stream = createClient(DerivationService, transports.gRPC(good)).watchKeySet({})[Symbol.asyncIterator]();
    expect((await stream.next()).value?.event.case).toBe("subscribed");
    await admin({}).disableApiKey({ keyId }, asRoot());
    await expect(restOf(stream)).rejects.toMatchObject({ code: Code.Unauthenticated });
    await admin({}).enableApiKey({ keyId }, asRoot());
    expect((await client.getApiKey({ keyId })).apiKey?.id).toBe(keyId);
    await reload();
    await expect(client.getApiKey({ keyId })).rejects.toMatchObject({ code: Code.Unauthenticated });
    await reload(`${gateway}=${keyId}`);
    await admin({}).revokeApiKey({ keyId }, asRoot());
    await expect(client.getApiKey({ keyId })).rejects.toMatchObject({ code: Code.Unauthenticated });
  });

  it("of an authority that a reload took away is refused, also if its session is resumed", async () => {
    const options = { host: "127.0.0.1", port: Number(new URL(server.url).port), ca: serverCa, ...good };
    const session = await new Promise<Buffer>((resolve, reject) => {
      const socket = connectTls({ ...options, maxVersion: "TLSv1.2" }, () => undefined);
      socket.once("session", resolve).once("error", reject);
    });
    const resumed = (): Promise<string> =>
      new Promise((resolve) => {
        const socket: TLSSocket = connectTls({ ...options, maxVersion: "TLSv1.2", session }, () => {
          socket.write("GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        });
        socket.once("data", () => resolve(socket.isSessionReused() ? "resumed" : "anew"));
        socket.once("error", () => resolve("refused")).once("close", () => resolve("refused"));
      });
    expect(await resumed()).toBe("resumed");
    writeFileSync(join(folder.path, "ca.pem"), readFileSync(makeAuthority(folder.path, "next").certFile));
    await reload();
    expect(await resumed()).toBe("refused");
  });
});

describe("a listener that requires a client certificate", () => {
  it("ends connections without one, and asks those with one for a credential as ever", async () => {
    await server.stop();
    writeFileSync(join(folder.path, "ca.pem"), readFileSync(trusted.certFile));
    await start("required");
    await expect(admin({}).getApiKey({ keyId }, asRoot())).rejects.toThrow();
    await expect(admin(good).getApiKey({ keyId }, asRoot())).resolves.toBeDefined();
    expect(await callerBy(good)).toBe("Unauthenticated");
  });
});
