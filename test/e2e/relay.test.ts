import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createClient } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport, createGrpcWebTransport } from "@connectrpc/connect-node";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { AdminService } from "../../gen/ichor/v1/admin_service_pb.ts";
import { DerivationService } from "../../gen/ichor/v1/derivation_service_pb.ts";
import { makeCertificate } from "../support/certificate.ts";
import { type RunningCommand, startIchor } from "../support/command-line.ts";
import { reasonOfRejection } from "../support/documented.ts";
import { type ServerProcess, startServer, temporaryFolder } from "../support/server-process.ts";
import { readWatch, SimpleFollower } from "../support/watch.ts";

const folder = temporaryFolder("relay");
let server: ServerProcess;
let sidecar: RunningCommand;
let url: string;
let ca: Buffer;
let headers: { authorization: string };

beforeAll(async () => {
  server = await startServer({ dataDir: join(folder.path, "server") });
  const admin = createClient(AdminService, createConnectTransport({ baseUrl: server.url, httpVersion: "2" }));
  const asRoot = { headers: { authorization: `Bearer ${server.rootCredential}` } };
  const scopes = ["ichor:keyset:watch", "ichor:keys:verify"];
  const own = await admin.issueApiKey({ name: "relay", scopes }, asRoot);
  const credentialFile = join(folder.path, "relay.key");
  writeFileSync(credentialFile, own.credential, { mode: 0o600 });
  headers = { authorization: `Bearer ${(await admin.issueApiKey({ name: "follower", scopes }, asRoot)).credential}` };
  const { certFile, keyFile } = makeCertificate(folder.path);
  ca = readFileSync(certFile);
  sidecar = startIchor(
    [
      ...["sidecar", "--upstream", server.url, "--credential-file", credentialFile, "--listen", "127.0.0.1:0"],
      ...["--relay-listen", "127.0.0.1:0", "--relay-tls-cert-file", certFile, "--relay-tls-key-file", keyFile],
    ],
    { cwd: folder.path, env: {} },
  );
  const { address, relay } = JSON.parse(await sidecar.line((line) => line.includes('"listening"')));
  url = relay;
  await vi.waitFor(async () => expect((await fetch(`${address}/readyz`)).status).toBe(200), 20_000);
});
afterAll(async () => {
  await sidecar.kill();
  await server.stop();
  folder.remove();
});

const nodeOptions = () => ({ ca });
const transports = [
  ["gRPC", () => createGrpcTransport({ baseUrl: url, nodeOptions: nodeOptions() })],
  ["gRPC-Web", () => createGrpcWebTransport({ baseUrl: url, httpVersion: "1.1", nodeOptions: nodeOptions() })],
  ["Connect over HTTP/2", () => createConnectTransport({ baseUrl: url, httpVersion: "2", nodeOptions: nodeOptions() })],
  [
    "Connect JSON over HTTP/1.1",
    () =>
      createConnectTransport({
        ...{ baseUrl: url, httpVersion: "1.1", nodeOptions: nodeOptions(), useBinaryFormat: false },
      }),
  ],
] as const;

function follow(transport: () => Parameters<typeof createClient>[1]) {
  const gone = new AbortController();
  const stream = createClient(DerivationService, transport()).watchKeySet({}, { headers, signal: gone.signal });
  return readWatch(stream, () => gone.abort(new Error("the test is done")));
}

describe("a side-car that others follow", () => {
  it.each(transports)("tells them by %s what it was told, over TLS", async (_, transport) => {
    const watch = follow(transport);
    const follower = new SimpleFollower();
    while (!follower.synced) follower.take(await watch.next());
    expect(follower.state.signingKeys.length).toBeGreaterThan(0);
    watch.close();
  });

  it("lets nobody in without a credential, and answers who has one", async () => {
    const { verifyCredential } = createClient(AdminService, transports[0][1]());
    const credential = server.rootCredential;
    expect(await reasonOfRejection(verifyCredential({ credential }))).toBe("CREDENTIAL_MISSING");
    expect((await verifyCredential({ credential }, { headers })).valid).toBe(true);
  });

  it("asks its followers to come back when it stops, and ends well", async () => {
    const watches = transports.slice(0, 2).map(([, transport]) => follow(transport));
    for (const watch of watches) await watch.until("snapshotEnd");
    const stopped = sidecar.interrupt();
    for (const watch of watches) expect((await watch.rest()).at(-1)?.case).toBe("drain");
    expect((await stopped).status).toBe(0);
  });
});
