import { connect } from "node:http2";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport, createGrpcWebTransport } from "@connectrpc/connect-node";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ErrorInfoSchema } from "../../gen/google/rpc/error_details_pb.ts";
import { AdminService } from "../../gen/ichor/v1/admin_service_pb.ts";
import type { Call } from "../../services/rpc/call.ts";
import { type FakeServer, startFakeServer } from "../support/fake-server.ts";

/** Calls of GetApiKey that the server has begun and that never answer. */
const begun: { call: Call; aborted: Promise<unknown> }[] = [];
let wake: (() => void) | undefined;
let server: FakeServer;

beforeAll(async () => {
  server = await startFakeServer({
    methods: {
      getApiKey: (_request, call) => {
        const aborted = new Promise((resolve) =>
          call.signal.addEventListener("abort", () => resolve(call.signal.reason)),
        );
        begun.push({ call, aborted });
        wake?.();
        return new Promise(() => {});
      },
    },
  });
});
afterAll(async () => {
  // That clients go away is no fault of the server, and nothing was thrown out of a call.
  expect(server.log.lines.filter(({ level }) => level !== "debug")).toEqual([]);
  await server.listener.drain(1_000);
});

const transports = {
  "Connect over HTTP/1.1": () => createConnectTransport({ baseUrl: server.url, httpVersion: "1.1" }),
  "Connect over HTTP/2": () => createConnectTransport({ baseUrl: server.url, httpVersion: "2" }),
  "gRPC-Web over HTTP/1.1": () => createGrpcWebTransport({ baseUrl: server.url, httpVersion: "1.1" }),
  gRPC: () => createGrpcTransport({ baseUrl: server.url }),
};
const asRoot = { headers: { authorization: "Bearer root" } };

describe.each(Object.entries(transports))("%s", (_name, makeTransport) => {
  it("ends a call at the client's deadline, and aborts the method", async () => {
    begun.length = 0;
    const error = await createClient(AdminService, makeTransport())
      .getApiKey({}, { ...asRoot, timeoutMs: 500 })
      .catch(ConnectError.from);
    expect(error).toMatchObject({ code: Code.DeadlineExceeded });
    expect(await begun[0]?.aborted).toBeInstanceOf(Error);
  });

  it("aborts the method when its client goes away", async () => {
    begun.length = 0;
    const client = new AbortController();
    const answer = createClient(AdminService, makeTransport()).getApiKey({}, { ...asRoot, signal: client.signal });
    answer.catch(() => {});
    await new Promise<void>((resolve) => {
      wake = resolve;
      if (begun.length > 0) resolve();
    });
    client.abort(new Error("no longer interested"));
    expect(await begun[0]?.aborted).toBeInstanceOf(Error);
  });
});

describe("a client that announces a deadline and waits on", () => {
  it.each([
    ["30", 504],
    ["0", 504],
  ])("gets its answer after connect-timeout-ms: %s", async (timeoutMs, status) => {
    const answer = await fetch(`${server.url}/ichor.v1.AdminService/GetApiKey`, {
      method: "POST",
      headers: { "content-type": "application/json", "connect-timeout-ms": timeoutMs, ...asRoot.headers },
      body: "{}",
    });
    expect(answer.status).toBe(status);
    const { code, details } = (await answer.json()) as { code: string; details: { debug: { reason: string } }[] };
    expect([code, details[0]?.debug.reason]).toEqual(["deadline_exceeded", "DEADLINE_EXCEEDED"]);
  });

  it.each(["30m", "0m"])("gets its answer after grpc-timeout: %s", async (timeout) => {
    const session = connect(server.url);
    const stream = session.request({
      ":method": "POST",
      ":path": "/ichor.v1.AdminService/GetApiKey",
      "content-type": "application/grpc",
      "grpc-timeout": timeout,
      ...asRoot.headers,
    });
    stream.end(Buffer.from([0, 0, 0, 0, 0]));
    stream.resume();
    const status = await new Promise((resolve) =>
      stream.once("trailers", (trailers) => resolve(trailers["grpc-status"])),
    );
    expect(status).toBe("4");
    session.destroy();
  });

  it("is not called at all with no time left", async () => {
    begun.length = 0;
    await fetch(`${server.url}/ichor.v1.AdminService/GetApiKey`, {
      method: "POST",
      headers: { "content-type": "application/json", "connect-timeout-ms": "0", ...asRoot.headers },
      body: "{}",
    });
    expect(begun).toEqual([]);
  });

  it("learns the server's own maximum", async () => {
    const hasty = await startFakeServer({
      deps: { callTimeoutMsMax: 30 },
      methods: { getApiKey: () => new Promise(() => {}) },
    });
    const client = createClient(AdminService, createGrpcTransport({ baseUrl: hasty.url }));
    const error = (await client.getApiKey({}, asRoot).catch((thrown) => thrown)) as ConnectError;
    expect(error.code).toBe(Code.DeadlineExceeded);
    expect(error.findDetails(ErrorInfoSchema)[0]?.reason).toBe("DEADLINE_EXCEEDED");
    await hasty.listener.drain(1_000);
  });
});
