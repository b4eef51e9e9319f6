import { connect } from "node:net";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { createListener, type Listener } from "../../../services/http/listener.ts";
import { startTestSidecar, type TestSidecar } from "../../support/sidecar.ts";
import { startTestApp, type TestApp } from "../../support/test-app.ts";
import { derive, issueKey, testAudience } from "../../support/tokens.ts";

let t: TestApp;
let s: TestSidecar;
let listener: Listener;
let url: string;
beforeAll(async () => {
  t = await startTestApp();
});
afterAll(() => t.close());
beforeEach(() => begin({ clientIpHeader: "x-real-ip" }));
afterEach(end);

async function begin(options: Parameters<typeof startTestSidecar>[1]): Promise<void> {
  s = await startTestSidecar(t, options);
  const { handler, fastUnary } = s.sidecar;
  const silent = { debug() {}, info() {}, warn() {}, error() {} };
  listener = createListener({ handler, fastUnary, log: silent });
  url = (await listener.listen("127.0.0.1", 0)).url;
}

async function end(): Promise<void> {
  await listener.drain(0);
  await s.close();
}

async function ask(headers: Record<string, string>, query = "", method = "GET") {
  const response = await fetch(`${url}/v1/forward-auth${query}`, { headers, method });
  const { code } = method === "HEAD" ? { code: "" } : ((await response.json()) as { code: string });
  return { status: response.status, code, headers: Object.fromEntries(response.headers) };
}

const bearer = (credential: string) => ({ authorization: `Bearer ${credential}` });

describe("the answer to a gateway", () => {
  it("says who called", async () => {
    const { keyId, credential } = await issueKey(t, { ownerId: "Zoë 100%\u{1f511}", scopes: ["a:*", "b"] });
    const { status, headers } = await ask(bearer(credential), "?scope=a:x&scope=b");
    expect(status).toBe(200);
    expect(headers).toMatchObject({
      "ichor-principal-version": "1",
      "ichor-principal-key-id": keyId,
      "ichor-principal-owner-id": encodeURIComponent("Zoë 100%\u{1f511}"),
      "ichor-principal-kind": "ISSUED_KEY",
      "ichor-principal-scopes": "a:* b",
      "ichor-principal-token-id": "",
      "cache-control": "no-store",
    });
    expect(headers["ichor-principal-tenant-id"]).toMatch(/^ten_/);
    expect(headers["ichor-principal-expire-time"]).toMatch(/^\d{4}-.*Z$/);
  });

  it.each(["GET", "POST", "HEAD"])("comes by %s, for either place of the credential", async (method) => {
    const { credential } = await issueKey(t);
    expect((await ask(bearer(credential), "", method)).status).toBe(200);
    expect((await ask({ "X-API-Key": credential }, "", method)).status).toBe(200);
    expect((await ask({ authorization: "Basic eDp5", "X-API-Key": credential }, "", method)).status).toBe(200);
  });

  it("comes however long the body is that a gateway passes on", async () => {
    const { credential } = await issueKey(t);
    const body = "x".repeat(4 * 1024 * 1024);
    for (const each of [credential, "none"]) {
      const sent = fetch(`${url}/v1/forward-auth`, { method: "POST", headers: bearer(each), body });
      expect((await sent).status).toBe(each === "none" ? 401 : 200);
    }
  });

  it("takes a derived token of the side-car's audience", async () => {
    const { token, tokenId } = await derive(t, (await issueKey(t)).credential);
    const { status, headers } = await ask(bearer(token));
    expect([status, headers["ichor-principal-token-id"]]).toEqual([200, tokenId]);
    expect(await ask(bearer(token), "?audience=another")).toMatchObject({ status: 401, code: "AUDIENCE_MISMATCH" });
    expect((await ask(bearer(token), `?audience=${encodeURIComponent(testAudience)}`)).status).toBe(200);
  });

  it("is 401 with a challenge for no credential, and for one that is none", async () => {
    const { headers: missing, ...rest } = await ask({});
    expect(rest).toEqual({ status: 401, code: "MISSING" });
    expect(missing["www-authenticate"]).toBe("Bearer");
    const { headers, status } = await ask(bearer("no-such-credential"));
    expect([status, headers["www-authenticate"]]).toEqual([401, 'Bearer error="invalid_token"']);
    expect(headers["ichor-principal-version"]).toBeUndefined();
    expect(await ask(bearer("x".repeat(9_000)))).toMatchObject({ status: 401, code: "MALFORMED" });
  });

  it("is 403 for a good one that doesn't allow this", async () => {
    const { credential } = await issueKey(t, { scopes: ["a"], allowedCidrs: ["10.0.0.0/8"] });
    const inside = { ...bearer(credential), "X-Real-IP": "10.1.2.3" };
    expect((await ask(inside, "?scope=a")).status).toBe(200);
    const { headers, ...rest } = await ask(inside, "?scope=b");
    expect(rest).toEqual({ status: 403, code: "INSUFFICIENT_SCOPE" });
    expect(headers["www-authenticate"]).toBe('Bearer error="insufficient_scope", scope="b"');
    const outside = { ...bearer(credential), "X-Real-IP": "192.0.2.1" };
    expect(await ask(outside, "?scope=a")).toMatchObject({ status: 403, code: "IP_NOT_ALLOWED" });
  });

  it("is 429 once a limit is used up, and says when to come back", async () => {
    const rateLimits = [{ name: "r", limit: 1n, period: { seconds: 60n, nanos: 0 } }];
    const { credential } = await issueKey(t, { rateLimits });
    const first = await ask(bearer(credential));
    expect([first.status, first.headers.ratelimit]).toEqual([200, '"r";r=0;t=60']);
    const { status, headers } = await ask(bearer(credential));
    expect([status, headers["retry-after"], headers.ratelimit]).toEqual([429, "60", '"r";r=0;t=60']);
  });

  it("is 503 if it can't be told, never 401", async () => {
    s.disconnect();
    const { status, headers } = await ask(bearer("never-seen-credential"));
    expect([status, headers["retry-after"]]).toEqual([503, "1"]);
  });

  it.each([
    ["two credentials", { ...bearer("abc"), "X-API-Key": "def" }, ""],
    ["a credential of two words", { authorization: "Bearer abc def" }, ""],
    ["an API key of two words", { "X-API-Key": "abc, def" }, ""],
    ["a header that CGI takes for one of the principal's", { ...bearer("abc"), Ichor_Principal_Key_Id: "key_x" }, ""],
    ["an address that is none", { ...bearer("abc"), "X-Real-IP": "10.0.0.1, 10.0.0.2" }, ""],
    ["an unknown word in the query", bearer("abc"), "?scpoe=a"],
    ["two audiences", bearer("abc"), "?audience=a&audience=b"],
    ["a pattern as a scope", bearer("abc"), "?scope=a:*"],
  ])("is 400 for %s", async (_, headers, query) => {
    expect(await ask(headers, query)).toMatchObject({ status: 400, code: "INVALID_FIELD" });
    expect(s.asked()).toBe(0);
  });

  it.each([
    ["a repeated header, in another case", "X-API-Key: abc\r\nx-api-key: def", 400],
    ["a repeated Authorization", "Authorization: Bearer abc\r\nauthorization: Bearer def", 400],
    ["a folded header", "X-API-Key: abc\r\n def", 400],
    ["a space before the colon", "X-API-Key : abc", 400],
    ["headers of more than 16 KiB", `X-API-Key: ${"x".repeat(17_000)}`, 431],
  ])("refuses %s", async (_, header, status) => {
    expect(await rawStatus(header)).toBe(status);
    expect(s.asked()).toBe(0);
  });
});

describe("a side-car that is told where credentials and addresses are", () => {
  it("looks nowhere else", async () => {
    await end();
    await begin({ credentialHeader: "x-token" });
    const { credential } = await issueKey(t, { allowedCidrs: ["10.0.0.0/8"] });
    expect((await ask({ ...bearer(credential), "X-API-Key": credential })).status).toBe(401);
    const claimed = { "X-Token": credential, "X-Real-IP": "10.1.2.3", "X-Forwarded-For": "10.1.2.3" };
    expect(await ask(claimed)).toMatchObject({ status: 403, code: "IP_NOT_ALLOWED" });
  });
});

/** The status of a request with just this header, written as it is. */
function rawStatus(header: string): Promise<number> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve, reject) => {
    const socket = connect(Number(port), hostname);
    let text = "";
    socket.on("data", (data) => {
      text += data;
    });
    socket.once("close", () => resolve(Number(/^HTTP\/1\.1 (\d{3})/.exec(text)?.[1])));
    socket.once("error", reject);
    socket.write(`GET /v1/forward-auth HTTP/1.1\r\nHost: x\r\nConnection: close\r\n${header}\r\n\r\n`);
  });
}
