import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { afterAll, beforeAll, expect, it } from "vitest";
import { Health } from "../../gen/grpc/health/v1/health_pb.ts";
import { CallSlots } from "../../services/rpc/call-slots.ts";
import { callJson, reasonOf } from "../support/calls.ts";
import { type FakeServer, startFakeServer } from "../support/fake-server.ts";

const max = 8;
let server: FakeServer;
let release = () => {};
let begun = 0;
let onBegun = () => {};

beforeAll(async () => {
  const released = new Promise<void>((resolve) => {
    release = resolve;
  });
  const wait = async () => {
    begun += 1;
    onBegun();
    await released;
  };
  server = await startFakeServer({
    deps: { slots: new CallSlots(max) },
    methods: {
      // The first goes the fast path, the second connect-node's.
      verifyCredential: async () => wait().then(() => ({ valid: true })),
      getApiKey: async () => wait().then(() => ({})),
    },
  });
});
afterAll(async () => {
  release();
  await server.listener.drain(1_000);
});

const verify = (credential: string) => callJson(server.url, "AdminService/VerifyCredential", credential, {});
const get = (credential: string) => callJson(server.url, "AdminService/GetApiKey", credential, {});
const untilBegun = (count: number) =>
  new Promise<void>((resolve) => {
    onBegun = () => begun >= count && resolve();
    onBegun();
  });

it("a caller who holds half of the slots is refused on both paths; others, and health, are not", async () => {
  const waiting = [verify("root"), get("root"), verify("root"), get("root")];
  await untilBegun(4);
  for (const call of [verify, get]) {
    const refused = await call("root");
    expect([refused.status, reasonOf(refused)]).toEqual([429, "TOO_MANY_CALLS"]);
    expect(JSON.stringify(refused.body)).toContain("google.rpc.RetryInfo");
  }
  waiting.push(verify("other-root"), get("other-root"));
  await untilBegun(6);
  const transport = createGrpcTransport({ baseUrl: server.url });
  expect((await createClient(Health, transport).check({})).status).toBe(1);
  expect((await fetch(`${server.url}/readyz`)).status).toBe(200);
  release();
  expect((await Promise.all(waiting)).map(({ status }) => status)).toEqual(Array(6).fill(200));
  expect((await get("root")).status).toBe(200);
});
