import { setMaxListeners } from "node:events";
import { readFileSync } from "node:fs";
import { connect } from "node:http2";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { afterEach, describe, expect, it } from "vitest";
import { AdminService } from "../../gen/ichor/v1/admin_service_pb.ts";
import { DerivationService } from "../../gen/ichor/v1/derivation_service_pb.ts";
import { idBytes, type KeyId, newId } from "../../services/core/ids.ts";
import type { Tenant } from "../../services/core/tenant.ts";
import { createListener, type Listener } from "../../services/http/listener.ts";
import { seededRandom } from "../fakes/random.ts";
import { freePort } from "../support/free-port.ts";
import { type ServerProcess, startServer, temporaryFolder } from "../support/server-process.ts";
import { startTestApp, type TestApp } from "../support/test-app.ts";
import { readWatch, SimpleFollower, type Watch } from "../support/watch.ts";

setFlagsFromString("--expose-gc");
const collectGarbage: () => void = runInNewContext("gc");
const mebibyte = 2 ** 20;

describe("readers that never read", () => {
  let t: TestApp;
  let listener: Listener;
  afterEach(async () => {
    await listener.drain(0);
    await t.close();
  });

  it("are cut off at their bound, and cost the server no more than 2 MiB each", async () => {
    const readers = 20;
    const changes = 200;
    t = await startTestApp();
    const log = { debug() {}, info() {}, warn() {}, error() {} };
    listener = createListener({ handler: t.app.handler, fastUnary: t.app.fastUnary, log });
    const { url } = await listener.listen("127.0.0.1", 0);
    const gone = new AbortController();
    setMaxListeners(0, gone.signal);
    const streams = Array.from({ length: readers }, () => {
      const session = connect(url);
      const stream = session.request({
        ":method": "POST",
        ":path": "/ichor.v1.DerivationService/WatchKeySet",
        "content-type": "application/grpc+proto",
        te: "trailers",
        authorization: `Bearer ${t.rootCredential}`,
      });
      stream.on("error", () => {});
      gone.signal.addEventListener("abort", () => session.destroy());
      stream.end(Buffer.alloc(5));
      // Never read: it isn't even begun to.
      return stream;
    });
    await Promise.all(streams.map((stream) => new Promise((resolve) => stream.once("response", resolve))));
    const subscribed = async () => (await t.admin().listSubscribers({ pageSize: 100 })).subscribers;
    const connected = async () => (await subscribed()).filter(({ serverId }) => serverId !== "").length;
    await expect.poll(connected).toBe(readers);
    const used = () => {
      collectGarbage();
      const { heapUsed, external } = process.memoryUsage();
      return heapUsed + external;
    };
    const before = used();
    // Ids of 16 KB a change: all of them are three times what is kept for a reader.
    const random = seededRandom("never read");
    const keyIds = Array.from({ length: 1_000 }, () => newId("key", 0, random(10)));
    for (let i = 0; i < changes; i++) {
      await t.app.store.mutate(async (tx) => {
        const tenantId = ((await tx.getTenantBySlug("default")) as Tenant).id;
        const audit = { tenantId, action: "Test", target: "", address: "", requestId: "" };
        return { result: undefined, change: { kind: "key", tenantId, event: "changed", keyIds }, audit };
      });
    }
    await expect.poll(connected, { timeout: 10_000 }).toBe(0);
    expect((used() - before) / mebibyte).toBeLessThan(2 * readers);
    gone.abort();
  });
});

describe("a thousand followers that come back at once", () => {
  const followers = 1_000;
  const connections = 10;
  const folder = temporaryFolder("stream-load");
  const gone = new AbortController();
  setMaxListeners(0, gone.signal);
  let server: ServerProcess | undefined;
  afterEach(async () => {
    gone.abort(new Error("the test is done"));
    await server?.stop();
    folder.remove();
  });

  it("all do, miss nothing, and cost the server no more than 128 MiB", { timeout: 120_000 }, async () => {
    const port = await freePort();
    const start = () => startServer({ dataDir: folder.path, env: { ICHOR_LISTEN: `127.0.0.1:${port}` } });
    server = await start();
    const url = server.url;
    const headers = { authorization: `Bearer ${server.rootCredential}` };
    const admin = createClient(AdminService, createGrpcTransport({ baseUrl: url }));
    const revokeSome = async () => {
      const { apiKey } = await admin.issueApiKey({ name: "k" }, { headers });
      const { revision } = await admin.revokeApiKey({ keyId: apiKey?.id ?? "" }, { headers });
      return { keyId: apiKey?.id as KeyId, revision };
    };
    const states = Array.from({ length: followers }, () => new SimpleFollower());
    /** All at once, over some connections; each from where it was. */
    const subscribe = (): readonly Watch[] => {
      const clients = Array.from({ length: connections }, () =>
        createClient(DerivationService, createGrpcTransport({ baseUrl: url })),
      );
      return states.map(({ synced, revision, hash, storeEpoch }, i) => {
        const resume = synced ? [{ feed: "public", storeEpoch, revision, hash }] : [];
        const client = clients[i % connections] as (typeof clients)[number];
        return readWatch(client.watchKeySet({ resume }, { headers, signal: gone.signal }), () => {});
      });
    };
    const reach = (streams: readonly Watch[], revision: bigint) =>
      Promise.all(
        streams.map(async (stream, i) => {
          const follower = states[i] as SimpleFollower;
          const events: (string | undefined)[] = [];
          while (!follower.synced || follower.revision < revision) {
            const event = await stream.next();
            events.push(event.case);
            follower.take(event);
          }
          return events;
        }),
      );
    const before = await revokeSome();
    await reach(subscribe(), before.revision);
    await server.kill();
    server = await start();
    const missed = [await revokeSome(), await revokeSome()];
    const rssBefore = rssBytes(server.pid);
    const told = await reach(subscribe(), missed[1]?.revision ?? 0n);
    expect((rssBytes(server.pid) - rssBefore) / mebibyte).toBeLessThan(128);
    // Nobody needed a snapshot, and everybody has both revocations.
    expect(told.filter((events) => events.includes("snapshotBegin"))).toEqual([]);
    for (const { state } of states) {
      for (const { keyId } of [before, ...missed]) expect(state.markOf(idBytes(keyId))).toBe(2 ** 31);
    }
  });
});

function rssBytes(pid: number): number {
  return Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]) * 1024;
}
