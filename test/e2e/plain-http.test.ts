import { connect } from "node:http2";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createListener } from "../../services/http/listener.ts";
import { createRequestHandler } from "../../services/http/plain-endpoints.ts";
import { collectLog, type FakeServer, startFakeServer } from "../support/fake-server.ts";
import { httpText } from "../support/raw-connection.ts";

let server: FakeServer;
beforeAll(async () => {
  server = await startFakeServer();
});
afterAll(async () => {
  await server.listener.drain(1_000);
});

const get = (path: string, init?: RequestInit) => fetch(`${server.url}${path}`, init);

describe("/livez and /readyz", () => {
  it("tell that the server lives and takes calls", async () => {
    const alive = await get("/livez");
    expect([alive.status, await alive.json()]).toEqual([200, { status: "alive" }]);
    const ready = await get("/readyz?verbose");
    expect([ready.status, await ready.json()]).toEqual([200, { status: "ready" }]);
    expect(ready.headers.get("cache-control")).toBe("no-store");
  });

  it("tell why it doesn't take calls, and that it lives all the same", async () => {
    server.readiness.set("store", true);
    try {
      const unready = await get("/readyz");
      expect([unready.status, await unready.json()]).toEqual([503, { status: "not ready", reasons: ["store"] }]);
      expect((await get("/livez")).status).toBe(200);
    } finally {
      server.readiness.set("store", false);
    }
  });

  it("tell what works less well, without keeping calls away", async () => {
    server.readiness.degrade("shared_limits", true);
    const ready = await get("/readyz");
    server.readiness.degrade("shared_limits", false);
    expect([ready.status, await ready.json()]).toEqual([200, { status: "ready", degraded: ["shared_limits"] }]);
    expect(await (await get("/readyz")).json()).toEqual({ status: "ready" });
  });

  it("answer HEAD without a body, and refuse to be written to", async () => {
    const head = await get("/livez", { method: "HEAD" });
    expect([head.status, await head.text()]).toEqual([200, ""]);
    const posted = await get("/livez", { method: "POST" });
    expect([posted.status, posted.headers.get("allow")]).toEqual([405, "GET, HEAD"]);
  });

  it("answer over HTTP/2 too", async () => {
    const session = connect(server.url);
    const stream = session.request({ ":path": "/livez" });
    const status = await new Promise((resolve) => stream.once("response", (headers) => resolve(headers[":status"])));
    expect(status).toBe(200);
    session.destroy();
  });
});

describe("a plain endpoint", () => {
  it("that fails is answered and logged, and told nothing of", async () => {
    const log = collectLog();
    const broken = () => {
      throw new Error("secret detail");
    };
    const handler = createRequestHandler(() => false, { "/broken": broken, "/late": async () => broken() }, log);
    const listener = createListener({ handler, log });
    const { url } = await listener.listen("127.0.0.1", 0);
    for (const path of ["/broken", "/late"]) {
      const answer = await fetch(url + path);
      expect([answer.status, await answer.text()]).toEqual([500, '{"code":"internal","message":"internal error"}']);
    }
    expect(log.lines).toMatchObject([{ level: "error", fields: { path: "/broken" } }, { level: "error" }]);
    await listener.drain(1_000);
  });
});

describe("a request that is none of ours", () => {
  const rpc = "/ichor.v1.AdminService/GetApiKey";

  it.each<[string, RequestInit, number, string]>([
    ["/", {}, 404, "not_found"],
    ["/livez/", {}, 404, "not_found"],
    ["/__proto__", {}, 404, "not_found"],
    ["/ichor.v1.AdminService/Nothing", { method: "POST", body: "{}" }, 404, "unimplemented"],
    ["/ichor.v1.Nothing/GetApiKey", { method: "POST", body: "{}" }, 404, "unimplemented"],
    [rpc, {}, 405, "unimplemented"],
    [rpc, { method: "PUT", body: "{}" }, 405, "unimplemented"],
    [
      rpc,
      { method: "POST", body: "x=1", headers: { "content-type": "application/x-www-form-urlencoded" } },
      415,
      "unknown",
    ],
    [
      "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
      { method: "POST", body: "", headers: { "content-type": "application/connect+json" } },
      505,
      "unknown",
    ],
  ])("gets a clear answer: %s %j", async (path, init, status, code) => {
    const answer = await get(path, init);
    expect(answer.status).toBe(status);
    expect(answer.headers.get("content-type")).toBe("application/json");
    expect(await answer.json()).toEqual({ code, message: expect.any(String) });
    if (status === 405) expect(answer.headers.get("allow")).toBe("POST");
  });

  it.each([
    ["no Host", "GET /livez HTTP/1.1\r\nConnection: close\r\n\r\n"],
    [
      "a Host that is none",
      `POST ${rpc} HTTP/1.1\r\nHost: [\r\nConnection: close\r\nContent-Length: 0\r\nContent-Type: application/json\r\n\r\n`,
    ],
    ["HTTP/1.0 without Host", `POST ${rpc} HTTP/1.0\r\nContent-Type: application/json\r\n\r\n`],
    ["no HTTP", "hello\r\n\r\n"],
    ["nearly the preface of HTTP/2", "PRIX / HTTP/1.1\r\n\r\n"],
    ["a TLS handshake", "\u0016\u0003\u0001\u0002\u0000\u0001\u0000\u0001\u00fc\u0003\u0003"],
  ])("is refused as bad, and the server goes on: %s", async (_what, request) => {
    expect(await httpText(server.port, request)).toMatch(/^HTTP\/1\.1 400 /);
    expect((await get("/livez")).status).toBe(200);
  });

  it("is refused if its headers are too large, before anything reads them", async () => {
    const large = "x".repeat(20_000);
    expect(await httpText(server.port, `GET /livez HTTP/1.1\r\nHost: a\r\nX: ${large}\r\n\r\n`)).toMatch(
      /^HTTP\/1\.1 431 /,
    );

    const session = connect(server.url);
    session.on("error", () => {});
    const stream = session.request({ ":path": "/livez", x: large });
    const answered = await new Promise((resolve) => {
      stream.once("response", (headers) => resolve(headers[":status"]));
      stream.once("error", () => resolve("reset"));
    });
    expect([431, "reset"]).toContain(answered);
    session.destroy();
  });

  it("takes a credential of 8 KiB", async () => {
    const headers = { "content-type": "application/json", authorization: `Bearer ${"a".repeat(8 * 1024)}` };
    expect((await get(rpc, { method: "POST", body: "{}", headers })).status).toBe(401);
  });

  it("does not get HTTP/2 by Upgrade, but HTTP/1.1", async () => {
    const request =
      "GET /livez HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings, close\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n";
    expect(await httpText(server.port, request)).toMatch(/^HTTP\/1\.1 200 /);
  });
});
