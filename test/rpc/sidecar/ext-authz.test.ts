import type { MessageInitShape } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { AttributeContext_HttpRequestSchema } from "../../../gen/envoy/service/auth/v3/attribute_context_pb.ts";
import type { CheckResponse } from "../../../gen/envoy/service/auth/v3/external_auth_pb.ts";
import { startTestSidecar, type TestSidecar } from "../../support/sidecar.ts";
import { startTestApp, type TestApp } from "../../support/test-app.ts";
import { derive, issueKey } from "../../support/tokens.ts";

type Http = Omit<MessageInitShape<typeof AttributeContext_HttpRequestSchema>, "$typeName">;

let t: TestApp;
let s: TestSidecar;
beforeAll(async () => {
  t = await startTestApp();
});
afterAll(() => t.close());
beforeEach(async () => {
  s = await startTestSidecar(t);
});
afterEach(() => s.close());

const ask = (http: Http, contextExtensions = {}) =>
  s.envoy.check({ attributes: { request: { http }, contextExtensions } });
const headerMap = (...headers: [key: string, value: string][]) => ({
  headerMap: { headers: headers.map(([key, value]) => ({ key, rawValue: Buffer.from(value) })) },
});

function refusalOf({ status, httpResponse }: CheckResponse) {
  if (httpResponse.case !== "deniedResponse") throw new Error("it may pass");
  const headers = httpResponse.value.headers.map(({ header }) => [header?.key, header?.value]);
  const { code } = JSON.parse(httpResponse.value.body);
  return { grpc: status?.code, status: httpResponse.value.status?.code, code, headers: Object.fromEntries(headers) };
}

function passageOf({ status, httpResponse }: CheckResponse) {
  if (httpResponse.case !== "okResponse") throw new Error("it may not pass");
  const { headers, headersToRemove } = httpResponse.value;
  const set = Object.fromEntries(headers.map(({ header }) => [header?.key, header?.value]));
  return { grpc: status?.code, set, gone: headersToRemove };
}

describe("the answer to Envoy", () => {
  it("is the same whether Envoy joins headers or gives them as they came", async () => {
    const { keyId, credential } = await issueKey(t);
    const joined = passageOf(await ask({ headers: { authorization: `Bearer ${credential}` } }));
    expect(joined).toMatchObject({ grpc: 0, set: { "ichor-principal-key-id": keyId } });
    const raw = headerMap([":path", "/"], ["authorization", `Bearer ${credential}`]);
    expect(passageOf(await ask(raw))).toEqual(joined);
  });

  it("removes what it has no value for, and never what it sets", async () => {
    const { token, tokenId } = await derive(t, (await issueKey(t)).credential);
    const ofToken = passageOf(await ask({ headers: { authorization: `Bearer ${token}` } }));
    expect(ofToken.set).toMatchObject({ "ichor-principal-token-id": tokenId });
    const ofKey = passageOf(await ask({ headers: { "x-api-key": (await issueKey(t)).credential } }));
    expect(ofKey.gone).toEqual(expect.arrayContaining(["ichor-principal-token-id", "authorization", "x-api-key"]));
    for (const { set, gone } of [ofToken, ofKey]) expect(gone.filter((name) => name in set)).toEqual([]);
    expect(Object.values(ofKey.set)).not.toContain("");
  });

  it("takes scopes and audience from the route", async () => {
    const { credential } = await issueKey(t, { scopes: ["a", "b"] });
    const headers = { "x-api-key": credential };
    expect(passageOf(await ask({ headers }, { scope: "a b" })).grpc).toBe(0);
    const refused = refusalOf(await ask({ headers }, { scope: "a c" }));
    expect(refused).toMatchObject({ grpc: Code.PermissionDenied, status: 403, code: "INSUFFICIENT_SCOPE" });
    expect(refused.headers["www-authenticate"]).toBe('Bearer error="insufficient_scope", scope="a c"');
  });

  it("is a denial with 503 if it can't be told, never an error that Envoy may let pass", async () => {
    s.disconnect();
    const refused = refusalOf(await ask({ headers: { "x-api-key": "never-seen-credential" } }));
    expect(refused).toMatchObject({ grpc: Code.Unavailable, status: 503, headers: { "retry-after": "1" } });
  });

  it.each<[string, Http, object]>([
    ["two credentials", { headers: { authorization: "Bearer abc", "x-api-key": "def" } }, {}],
    ["a repeated header", headerMap(["x-api-key", "abc"], ["X-API-Key", "def"]), {}],
    ["two Authorization headers that Envoy has joined", { headers: { authorization: "Bearer abc,Bearer def" } }, {}],
    [
      "a header that CGI takes for one of the principal's",
      headerMap(["x-api-key", "abc"], ["Ichor_Principal_Kind", "x"]),
      {},
    ],
    ["the same with other marks", { headers: { "x-api-key": "abc", "ichor.principal.key.id": "x" } }, {}],
    ["an unknown word of the route", { headers: { "x-api-key": "abc" } }, { scopes: "a" }],
    ["a pattern as a scope", { headers: { "x-api-key": "abc" } }, { scope: "a:*" }],
  ])("is 400 for %s", async (_, http, route) => {
    expect(refusalOf(await ask(http, route))).toMatchObject({ status: 400, code: "INVALID_FIELD" });
    expect(s.asked()).toBe(0);
  });

  it.each([
    ["no HTTP request", {}],
    [
      "headers in both forms",
      { attributes: { request: { http: { headers: { "x-api-key": "a" }, ...headerMap(["x-api-key", "b"]) } } } },
    ],
  ])("is an error for %s, which no Envoy sends", async (_, request) => {
    const code = await s.envoy.check(request).catch((error: unknown) => ConnectError.from(error).code);
    expect(code).toBe(Code.InvalidArgument);
  });
});
