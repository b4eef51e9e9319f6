import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { createClient, type Transport } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport, createGrpcWebTransport } from "@connectrpc/connect-node";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { AdminService } from "../../gen/ichor/v1/admin_service_pb.ts";
import { DerivationService } from "../../gen/ichor/v1/derivation_service_pb.ts";
import { idBytes, type KeyId } from "../../services/core/ids.ts";
import { reasonOfRejection } from "../support/documented.ts";
import { plainEnvironment, type ServerProcess, startServer, temporaryFolder } from "../support/server-process.ts";
import { readWatch, SimpleFollower, type Watch } from "../support/watch.ts";

const transports: Readonly<Record<string, (baseUrl: string) => Transport>> = {
  "Connect JSON over HTTP/1.1": (baseUrl) =>
    createConnectTransport({ baseUrl, httpVersion: "1.1", useBinaryFormat: false }),
  "Connect binary over HTTP/1.1": (baseUrl) =>
    createConnectTransport({ baseUrl, httpVersion: "1.1", useBinaryFormat: true }),
  "Connect binary over HTTP/2": (baseUrl) =>
    createConnectTransport({ baseUrl, httpVersion: "2", useBinaryFormat: true }),
  "gRPC-Web over HTTP/1.1": (baseUrl) => createGrpcWebTransport({ baseUrl, httpVersion: "1.1" }),
  "gRPC-Web JSON over HTTP/2": (baseUrl) =>
    createGrpcWebTransport({ baseUrl, httpVersion: "2", useBinaryFormat: false }),
  "gRPC over HTTP/2": (baseUrl) => createGrpcTransport({ baseUrl }),
};

const run = promisify(execFile);
const folder = temporaryFolder("watch");
let server: ServerProcess;
let headers: { authorization: string };
beforeAll(async () => {
  server = await startServer({ dataDir: folder.path });
  headers = { authorization: `Bearer ${server.rootCredential}` };
});
afterAll(async () => {
  await server.stop();
  folder.remove();
});

function begin(transport: Transport, request: object = {}): Watch {
  const gone = new AbortController();
  const stream = createClient(DerivationService, transport).watchKeySet(request, { headers, signal: gone.signal });
  return readWatch(stream, () => gone.abort(new Error("the test is done")));
}

async function synced(stream: Watch): Promise<SimpleFollower> {
  const follower = new SimpleFollower();
  while (!follower.synced) follower.take(await stream.next());
  return follower;
}

const admin = () => createClient(AdminService, createGrpcTransport({ baseUrl: server.url }));

async function revokeSomeKey(): Promise<KeyId> {
  const { apiKey } = await admin().issueApiKey({ name: "k" }, { headers });
  await admin().revokeApiKey({ keyId: apiKey?.id ?? "" }, { headers });
  return apiKey?.id as KeyId;
}

describe("WatchKeySet", () => {
  it.concurrent.each(Object.entries(transports))(
    "over %s streams the snapshot, each change and heartbeats, and refuses with its reason",
    async (_, transportTo) => {
      const stream = begin(transportTo(server.url));
      const follower = await synced(stream);
      const keyId = await revokeSomeKey();
      const revoked = () => follower.state.markOf(idBytes(keyId)) === 2 ** 31;
      let event = await stream.next();
      for (; !revoked() || event.case !== "heartbeat"; event = await stream.next()) follower.take(event);
      follower.take(event);
      stream.close();
      expect(await reasonOfRejection(begin(transportTo(server.url), { audiences: [""] }).next())).toBe("INVALID_FIELD");
    },
  );
});

describe("a server that stops", () => {
  it("asks each follower to come back, and ends at once", async () => {
    const streams = Object.values(transports).map((transportTo) => begin(transportTo(server.url)));
    for (const stream of streams) await synced(stream);
    const status = server.stop();
    for (const stream of streams) expect((await stream.rest()).at(-1)?.case).toBe("drain");
    expect(await status).toBe(0);
    server = await startServer({ dataDir: folder.path });
  });
});

describe("ichor store new-epoch", () => {
  it("makes every follower begin anew, and ends tokens derived before", async () => {
    const stream = begin(createGrpcTransport({ baseUrl: server.url }));
    const before = await synced(stream);
    const { storeEpoch } = before;
    const { stdout } = await run(process.execPath, ["dist/services/main.js", "--json", "store", "new-epoch"], {
      env: { ...plainEnvironment(), ICHOR_DATA_DIR: folder.path },
    });
    const made = JSON.parse(stdout);
    expect(made.storeEpoch).not.toBe(storeEpoch);
    expect((await stream.rest()).at(-1)).toMatchObject({ case: "resyncRequired", value: { snapshotFollows: false } });
    const again = begin(createGrpcTransport({ baseUrl: server.url }), {
      resume: [{ feed: "public", storeEpoch, revision: before.revision, hash: before.hash }],
    });
    await again.until("resyncRequired");
    const after = await synced(again);
    expect(after.state.issuedBeforeMs).toBeGreaterThan(Date.now() - 60_000);
    again.close();
  });
});
