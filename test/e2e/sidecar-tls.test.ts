import { copyFileSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { connect as connectTls } from "node:tls";
import { createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { AdminService } from "../../gen/ichor/v1/admin_service_pb.ts";
import { type Authority, makeAuthority, makeCertificate } from "../support/certificate.ts";
import { type RunningCommand, runIchor, startIchor } from "../support/command-line.ts";
import { type ServerProcess, startServer, temporaryFolder } from "../support/server-process.ts";

const folder = temporaryFolder("sidecar-tls");
const at = (name: string) => join(folder.path, name);
const options = { cwd: folder.path, env: {} };
type Identity = Partial<ReturnType<Authority["issue"]>>;

let clients: Authority;
let strangers: Authority;
let server: ServerProcess;
let credential: string;
let sidecar: RunningCommand;
let url: string;
let good: Identity;

const flags = () => ["sidecar", "--upstream", server.url, "--credential-file", at("sidecar.key")];
/** The flags of a side-car that shows a certificate to the server, and that anyone may reach who shows one of its own. */
const tlsFlags = () => [
  ...[...flags(), "--listen", "0.0.0.0:0"],
  ...[
    "--upstream-ca-file",
    at("server-ca.pem"),
    "--upstream-cert-file",
    at("up.pem"),
    "--upstream-key-file",
    at("up.key"),
  ],
  ...["--tls-cert-file", at("own.pem"), "--tls-key-file", at("own.key"), "--tls-client-ca-file", clients.certFile],
];

async function addressOf(command: RunningCommand): Promise<string> {
  const { address } = JSON.parse(await command.line((line) => line.includes('"listening"')));
  return address.replace("0.0.0.0", "127.0.0.1");
}

/** What the side-car says of the credential to who shows this certificate; undefined: it doesn't let him in. */
async function answerTo(identity: Identity, place = url): Promise<boolean | undefined> {
  const nodeOptions = { ca: readFileSync(at("own.pem")), ...identity };
  const transport = createConnectTransport({ baseUrl: place, httpVersion: "1.1", nodeOptions });
  const asked = createClient(AdminService, transport).verifyCredential({ credential });
  return asked.then(
    ({ valid }) => valid,
    () => undefined,
  );
}

/** A certificate for localhost and 127.0.0.1 as `own.pem` and `own.key`. */
function renewOwn(): void {
  const { certFile, keyFile } = makeCertificate(folder.path);
  copyFileSync(certFile, at("own.pem"));
  copyFileSync(keyFile, at("own.key"));
}

beforeAll(async () => {
  const { certFile, keyFile } = makeCertificate(folder.path);
  copyFileSync(certFile, at("server-ca.pem"));
  copyFileSync(keyFile, at("server.key"));
  [clients, strangers] = [makeAuthority(folder.path, "clients"), makeAuthority(folder.path, "strangers")];
  const shown = clients.issue("upstream", { names: ["DNS:sidecar"] });
  writeFileSync(at("up.pem"), shown.cert);
  writeFileSync(at("up.key"), shown.key, { mode: 0o600 });
  good = clients.issue("service", { names: ["DNS:service"] });
  renewOwn();
  server = await startServer({
    dataDir: at("server"),
    env: {
      ...{ ICHOR_TLS_CERT_FILE: at("server-ca.pem"), ICHOR_TLS_KEY_FILE: at("server.key") },
      ICHOR_TLS_CLIENT_CA_FILE: clients.certFile,
    },
  });
  const nodeOptions = { ca: readFileSync(at("server-ca.pem")), ...good };
  const admin = createClient(
    AdminService,
    createConnectTransport({ baseUrl: server.url, httpVersion: "2", nodeOptions }),
  );
  const headers = { authorization: `Bearer ${server.rootCredential}` };
  const scopes = ["ichor:keyset:watch", "ichor:keys:verify"];
  writeFileSync(at("sidecar.key"), (await admin.issueApiKey({ name: "s", scopes }, { headers })).credential, {
    mode: 0o600,
  });
  credential = (await admin.issueApiKey({ name: "k" }, { headers })).credential;
  sidecar = startIchor(tlsFlags(), options);
  url = await addressOf(sidecar);
});
afterAll(async () => {
  expect(await sidecar.interrupt()).toEqual({ status: 0, stderr: "" });
  await server.stop();
  folder.remove();
});

describe("a side-car with TLS", () => {
  it("asks a server that wants a certificate, and answers who shows it one", async () => {
    expect(url).toMatch(/^https:/);
    expect(await answerTo(good)).toBe(true);
  });

  it("lets nobody in without a certificate, or with that of another authority", async () => {
    expect(await answerTo({})).toBe(undefined);
    expect(await answerTo(strangers.issue("one", { names: ["DNS:service"] }))).toBe(undefined);
  });

  it("shows a new certificate after SIGHUP", async () => {
    const before = await serialShown();
    renewOwn();
    sidecar.reload();
    await sidecar.line((line) => line.includes("configuration reloaded"));
    expect(await serialShown()).not.toBe(before);
    expect(await answerTo(good)).toBe(true);
  });

  it("believes no server of another authority, and goes on when it is given the right one", async () => {
    copyFileSync(strangers.certFile, at("other-ca.pem"));
    const given = tlsFlags().map((word) => (word === at("server-ca.pem") ? at("other-ca.pem") : word));
    const other = startIchor(given, options);
    const place = await addressOf(other);
    expect(await answerTo(good, place)).toBe(undefined);
    expect(await other.line((line) => line.includes("doesn't follow"))).toMatch(/certificate/);
    copyFileSync(at("server-ca.pem"), at("other-ca.pem"));
    other.reload();
    await expect.poll(() => answerTo(good, place), { timeout: 20_000 }).toBe(true);
    expect((await other.interrupt()).status).toBe(0);
  });

  it.each([
    ["listens beyond the machine in clear", ["--listen", "0.0.0.0:0"], /--tls-client-ca-file/],
    ["takes callers without a certificate beyond the machine", ["--tls-client-auth", "optional"], /--allow-remote/],
    ["has half a pair of files", ["--upstream-key-file", "up.key"], /--upstream-cert-file and --upstream-key-file go/],
    [
      "has certificates for a server in clear",
      ["--upstream", "http://localhost", "--upstream-ca-file", "x"],
      /must be https/,
    ],
    ["is given a key as authority", ["--upstream-ca-file", "up.key"], /server CA file .* holds no PEM certificate/],
  ])("doesn't start if it %s", (_, more, sentence) => {
    const { status, stderr } = runIchor(
      [...(more[0] === "--tls-client-auth" ? tlsFlags() : flags()), ...more],
      options,
    );
    expect([2, 3]).toContain(status);
    expect(stderr).toMatch(sentence);
  });
});

function serialShown(): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connectTls({
      port: Number(new URL(url).port),
      host: "127.0.0.1",
      rejectUnauthorized: false,
      ...good,
    });
    socket.once("secureConnect", () => {
      resolve(socket.getPeerCertificate().serialNumber);
      socket.destroy();
    });
    socket.once("error", reject);
  });
}
