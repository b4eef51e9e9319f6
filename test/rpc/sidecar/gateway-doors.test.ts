import { request } from "node:http";
import fc from "fast-check";
import { afterAll, beforeAll, expect, it } from "vitest";
import { createListener, type Listener } from "../../../services/http/listener.ts";
import { startTestSidecar, type TestSidecar } from "../../support/sidecar.ts";
import { startTestApp, type TestApp } from "../../support/test-app.ts";
import { issueKey } from "../../support/tokens.ts";

type Header = readonly [name: string, value: string];

let t: TestApp;
let s: TestSidecar;
let listener: Listener;
let port: number;
let good: string;
let keyId: string;
beforeAll(async () => {
  t = await startTestApp();
  s = await startTestSidecar(t);
  const { handler, fastUnary } = s.sidecar;
  listener = createListener({ handler, fastUnary, log: { debug() {}, info() {}, warn() {}, error() {} } });
  port = Number(new URL((await listener.listen("127.0.0.1", 0)).url).port);
  ({ credential: good, keyId } = await issueKey(t, { scopes: ["a"], ownerId: "acme" }));
});
afterAll(async () => {
  await listener.drain(0);
  await s.close();
  await t.close();
});

/** What each door makes of a request: what the service is shown, with empty for what it must not see. */
interface Outcome {
  readonly status: number;
  readonly code: string;
  readonly shown: Readonly<Record<string, string>>;
}

const ofInterest = (name: string) => /^(ichor-|authorization$|x-api-key$)/.test(name);

function byHttp(headers: readonly Header[], scope: string): Promise<Outcome> {
  const raw = headers.flatMap(([name, value]) => [name, value.replace("GOOD", good)]);
  const path = `/v1/forward-auth?scope=${scope}`;
  return new Promise((resolve, reject) => {
    const sent = request({ port, path, headers: ["host", "x", "connection", "close", ...raw] }, async (response) => {
      const body = Buffer.concat(await response.toArray()).toString();
      const status = response.statusCode ?? 0;
      const all = Object.entries(response.headers).filter(([name]) => ofInterest(name));
      const shown = Object.fromEntries(all.map(([name, value]) => [name, String(value)]));
      resolve({ status, code: JSON.parse(body).code, shown });
    });
    sent.once("error", reject);
    sent.end();
  });
}

async function byEnvoy(headers: readonly Header[], scope: string): Promise<Outcome> {
  const sent = headers.map(([key, value]) => ({ key, value: value.replace("GOOD", good) }));
  const http = { method: "GET", path: "/", host: "x", headerMap: { headers: sent } };
  const contextExtensions: Record<string, string> = { scope };
  const { httpResponse } = await s.envoy.check({ attributes: { request: { http }, contextExtensions } });
  if (httpResponse.case === "deniedResponse") {
    const { status, body } = httpResponse.value;
    return { status: status?.code ?? 0, code: JSON.parse(body).code, shown: {} };
  }
  const { headers: set = [], headersToRemove: gone = [] } = httpResponse.value ?? {};
  // What a client made up goes as well; by HTTP that is the gateway's to do.
  const known = gone.filter((name) => name !== "ichor-principal-made-up").map((name) => [name, ""]);
  const shown = Object.fromEntries([...set.map(({ header }) => [header?.key, header?.value]), ...known]);
  return { status: 200, code: "VERIFICATION_CODE_VALID", shown };
}

const header = fc.tuple(
  fc.constantFrom(
    ...["X-API-Key", "x-api-key", "Authorization", "AUTHORIZATION", "X_API_Key", "X-Other"],
    ...["Ichor-Principal-Key-Id", "Ichor-Principal-Made-Up", "Ichor_Principal_Key_Id"],
  ),
  fc.constantFrom(
    "GOOD",
    "Bearer GOOD",
    "bearer  GOOD",
    "none",
    "Bearer none",
    "Bearer",
    "Basic eDp5",
    "GOOD GOOD",
    "",
  ),
);

it("answers the same by both doors, whatever headers come, and names nobody but the key's holder", async () => {
  let passed = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(header, { maxLength: 4 }), fc.constantFrom("", "a", "b"), async (headers, scope) => {
      const [http, envoy] = await Promise.all([byHttp(headers, scope), byEnvoy(headers, scope)]);
      expect(http.status).toBe(envoy.status);
      if (http.status !== 200) {
        // The listener refuses a repeated Authorization before there is a door.
        if (http.code !== "invalid_argument") expect(http.code).toBe(envoy.code);
        return;
      }
      passed++;
      expect(http.shown).toEqual(envoy.shown);
      expect(http.shown).toMatchObject({ "ichor-principal-key-id": keyId, authorization: "", "x-api-key": "" });
    }),
    { numRuns: 400, seed: 27 },
  );
  expect(passed).toBeGreaterThan(5);
});
