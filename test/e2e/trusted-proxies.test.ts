import { request } from "node:http";
import { afterAll, beforeAll, expect, it } from "vitest";
import { callJson } from "../support/calls.ts";
import { type ServerProcess, startServer, temporaryFolder } from "../support/server-process.ts";

const folder = temporaryFolder("proxies");
let server: ServerProcess;
/** The credential of a key that only a network of the documentation may use, and its id. */
let bound: { credential: string; keyId: string };

beforeAll(async () => {
  server = await startServer({
    dataDir: folder.path,
    env: { ICHOR_TRUSTED_PROXIES: "127.0.0.1/32, 10.0.0.0/8", ICHOR_LOG_LEVEL: "info" },
  });
  const { body } = await callJson(server.url, "AdminService/IssueApiKey", server.rootCredential, {
    name: "bound",
    scopes: ["ichor:keys:read", "ichor:keys:verify"],
    allowedCidrs: ["203.0.113.0/24"],
  });
  bound = { credential: body.credential, keyId: body.apiKey.id };
});
afterAll(async () => {
  await server?.stop();
  folder.remove();
});

/** Calls from an address of the loopback network, with a header as a proxy sets it; gives the HTTP status. */
function statusOf(method: string, from: string, forwardedFor: string | undefined): Promise<number | undefined> {
  const body = JSON.stringify(method === "GetApiKey" ? { keyId: bound.keyId } : { credential: bound.credential });
  return new Promise((resolve, reject) => {
    const call = request(`${server.url}/ichor.v1.AdminService/${method}`, {
      method: "POST",
      localAddress: from,
      headers: {
        authorization: `Bearer ${bound.credential}`,
        "content-type": "application/json",
        "content-length": Buffer.byteLength(body),
        ...(forwardedFor !== undefined && { "x-forwarded-for": forwardedFor }),
      },
    });
    call.on("response", (response) => response.resume().once("end", () => resolve(response.statusCode)));
    call.once("error", reject);
    call.end(body);
  });
}

// One is served by the fast path, the other by connect-node.
it.each(["VerifyCredential", "GetApiKey"])(
  "a caller's networks hold for the client, not for its proxies: %s",
  async (method) => {
    expect(await statusOf(method, "127.0.0.1", "203.0.113.9")).toBe(200);
    expect(await statusOf(method, "127.0.0.1", "203.0.113.9, 10.1.2.3")).toBe(200);
    expect(await statusOf(method, "127.0.0.1", undefined)).toBe(401);
  },
);

it.each(["VerifyCredential", "GetApiKey"])("nobody chooses its own address: %s", async (method) => {
  expect(await statusOf(method, "127.0.0.2", "203.0.113.9")).toBe(401);
  expect(await statusOf(method, "127.0.0.1", "203.0.113.9, 198.51.100.1")).toBe(401);
  expect(await statusOf(method, "127.0.0.1", "203.0.113.9, unknown")).toBe(401);
});

it("the log tells the client and the proxy", async () => {
  await statusOf("GetApiKey", "127.0.0.1", "203.0.113.77");
  await server.stop();
  const line = server.log.find((text) => text.includes("203.0.113.77"));
  expect(JSON.parse(line ?? "{}")).toMatchObject({
    clientAddress: "203.0.113.77",
    peerAddress: "127.0.0.1",
    code: "OK",
  });
});
