import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { GatewayRoute, GatewayRoutes } from "../../../services/core/gateway-route.ts";
import { createListener, type Listener } from "../../../services/http/listener.ts";
import { startTestSidecar, type TestSidecar } from "../../support/sidecar.ts";
import { startTestApp, type TestApp } from "../../support/test-app.ts";
import { issueKey } from "../../support/tokens.ts";

const route = (path: string, more: Partial<GatewayRoute> = {}): GatewayRoute => ({
  path: { within: path },
  ...{
    hosts: [],
    methods: [],
    scopes: [],
    audience: undefined,
    credential: "required",
    credentialHeader: undefined,
    upstreamJwt: undefined,
  },
  ...more,
});
const routes: readonly GatewayRoute[] = [
  route("/health", { credential: "none" }),
  route("/catalogue", { credential: "optional" }),
  route("/invoices", { methods: ["GET"], scopes: ["invoices:read"] }),
  route("/invoices", { scopes: ["invoices:write"] }),
  route("/partners", { credentialHeader: "x-partner-key" }),
  route("/inner", { hosts: ["inner.example"] }),
];

let t: TestApp;
let s: TestSidecar;
let listener: Listener;
let url: string;
let reader: string;
beforeAll(async () => {
  t = await startTestApp();
  reader = (await issueKey(t, { scopes: ["invoices:read"], ownerId: "acme" })).credential;
});
afterAll(() => t.close());
beforeEach(() => begin("x-forwarded"));
afterEach(end);

async function begin(requestFrom: GatewayRoutes["requestFrom"]): Promise<void> {
  s = await startTestSidecar(t, { routes: { requestFrom, routes } });
  const { handler, fastUnary } = s.sidecar;
  const silent = { debug() {}, info() {}, warn() {}, error() {} };
  listener = createListener({ handler, fastUnary, log: silent });
  url = (await listener.listen("127.0.0.1", 0)).url;
}

async function end(): Promise<void> {
  await listener.drain(0);
  await s.close();
}

const forwarded = (target: string, method = "GET", host = "api.example") => ({
  ...{ "X-Forwarded-Method": method, "X-Forwarded-Uri": target, "X-Forwarded-Host": host },
});

async function ask(headers: Record<string, string>, query = "") {
  const response = await fetch(`${url}/v1/forward-auth${query}`, { headers });
  const { code } = (await response.json()) as { code: string };
  return { status: response.status, code, owner: response.headers.get("ichor-principal-owner-id"), response };
}

describe("a side-car with routes in a file", () => {
  const key = () => ({ "X-API-Key": reader });

  it("asks what the route asks", async () => {
    expect(await ask({ ...forwarded("/invoices/1?x"), ...key() })).toMatchObject({ status: 200, owner: "acme" });
    expect(await ask({ ...forwarded("/invoices/1", "DELETE"), ...key() })).toMatchObject({
      ...{ status: 403, code: "INSUFFICIENT_SCOPE" },
    });
    expect((await ask({ ...forwarded("/partners"), ...key() })).status).toBe(401);
    expect((await ask({ ...forwarded("/partners"), "X-Partner-Key": reader })).status).toBe(200);
  });

  it("refuses what fits no route, whoever asks", async () => {
    for (const at of [forwarded("/"), forwarded("/invoicesx"), forwarded("/inner", "GET", "outer.example")]) {
      expect(await ask({ ...at, ...key() })).toMatchObject({ status: 403, code: "NO_ROUTE" });
    }
    expect((await ask({ ...forwarded("/inner", "GET", "inner.example"), ...key() })).status).toBe(200);
    expect(s.asked()).toBe(1);
  });

  it("lets nobody pass where no credential is asked for, and looks at one where it may be", async () => {
    const health = await ask({ ...forwarded("/health"), "X-API-Key": "whatever" });
    expect(health).toMatchObject({ status: 200, code: "ANONYMOUS", owner: "" });
    expect(health.response.headers.get("x-api-key")).toBeNull();
    expect(s.asked()).toBe(0);
    const nobody = await ask(forwarded("/catalogue"));
    expect(nobody).toMatchObject({ status: 200, code: "ANONYMOUS", owner: "" });
    expect(nobody.response.headers.get("ichor-principal-version")).toBe("1");
    expect(await ask({ ...forwarded("/catalogue"), ...key() })).toMatchObject({ status: 200, owner: "acme" });
    expect((await ask({ ...forwarded("/catalogue"), "X-API-Key": "none" })).status).toBe(401);
  });

  it("says the same to Envoy, by what Envoy tells", async () => {
    const check = async (path: string, method = "GET") => {
      const http = {
        method,
        path,
        host: "api.example",
        headers: { "x-api-key": reader, "x-forwarded-uri": "/health" },
      };
      const { httpResponse } = await s.envoy.check({ attributes: { request: { http } } });
      return httpResponse.case === "deniedResponse" ? httpResponse.value.status?.code : 200;
    };
    expect(await check("/invoices/1?x")).toBe(200);
    expect(await check("/invoices/1", "POST")).toBe(403);
    expect(await check("/other")).toBe(403);
    expect(await check("/health/%2e%2e/invoices")).toBe(400);
  });

  it.each([
    ["a path that can be read in several ways", forwarded("/health/..%2finvoices"), ""],
    ["a request that the gateway doesn't describe", {}, ""],
    ["one that it describes by other headers", { "X-Original-Method": "GET", "X-Original-Uri": "/health" }, ""],
    ["no host where a route asks for one", { "X-Forwarded-Method": "GET", "X-Forwarded-Uri": "/health" }, ""],
    ["two paths, which fetch joins", { ...forwarded("/health, /") }, ""],
    ["a header that asks for another method", { ...forwarded("/health"), "X-HTTP-Method-Override": "DELETE" }, ""],
    ["one that asks for another path", { ...forwarded("/health"), X_Original_URL: "/invoices" }, ""],
    ["a demand of the question", forwarded("/health"), "?scope=a"],
  ])("is 400 for %s", async (_, headers, query) => {
    expect(await ask(headers, query)).toMatchObject({ status: 400, code: "INVALID_FIELD" });
  });

  it("believes no gateway by HTTP if it isn't said which headers are its own", async () => {
    await end();
    await begin(undefined);
    const all = { ...forwarded("/health"), "X-Original-Method": "GET", "X-Original-Uri": "/health" };
    expect((await ask(all)).status).toBe(400);
  });
});
