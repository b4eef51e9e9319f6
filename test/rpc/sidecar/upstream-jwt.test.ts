import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { CheckResponse } from "../../../gen/envoy/service/auth/v3/external_auth_pb.ts";
import { TokenFormat } from "../../../gen/ichor/v1/api_key_pb.ts";
import type { GatewayRoute } from "../../../services/core/gateway-route.ts";
import { sidecarScopes, startTestSidecar, type TestSidecar } from "../../support/sidecar.ts";
import { startTestApp, type TestApp } from "../../support/test-app.ts";
import { derive, issueKey, testAudience } from "../../support/tokens.ts";
import { startTestVerifier, type TestVerifier } from "../../support/verifier.ts";

const service = "https://service.example";

let t: TestApp;
let s: TestSidecar;
/** The service's own. */
let v: TestVerifier;
beforeAll(async () => {
  t = await startTestApp();
  v = await startTestVerifier(t, { audience: service, macaroons: false });
});
afterAll(async () => {
  await v.verifier.close();
  await t.close();
});
beforeEach(() => begin());
afterEach(() => s.close());

async function begin(options: Parameters<typeof startTestSidecar>[1] = {}, scopes = ["ichor:tokens:derive"]) {
  const { credential } = await issueKey(t, { scopes: [...sidecarScopes, ...scopes] });
  s = await startTestSidecar(t, { credential, upstreamJwt: service, ...options });
}

async function ask(credential: string, { scope = "", path = "/", ip = "", headers = {} } = {}) {
  const http = {
    method: "GET",
    path,
    host: "x",
    headers: { ...(credential && { "x-api-key": credential }), ...headers },
  };
  const source = { address: { address: { case: "socketAddress" as const, value: { address: ip } } } };
  const contextExtensions: Record<string, string> = scope === "" ? {} : { scope };
  return outcomeOf(await s.envoy.check({ attributes: { request: { http }, source, contextExtensions } }));
}

function outcomeOf({ httpResponse }: CheckResponse) {
  const none: Record<string, string> = {};
  if (httpResponse.case === "deniedResponse") {
    const { status, body } = httpResponse.value;
    return { status: status?.code, code: JSON.parse(body).code, jwt: "", set: none, gone: [] as string[] };
  }
  const set: Record<string, string> = Object.fromEntries(
    (httpResponse.value?.headers ?? []).map(({ header }) => [header?.key ?? "", header?.value ?? ""]),
  );
  const jwt = set.authorization?.replace(/^Bearer /, "") ?? "";
  return { status: 200, code: "", jwt, set, gone: httpResponse.value?.headersToRemove ?? [] };
}

/** Resolves once side-car and service have heard of a revision. */
async function heard(revision: bigint): Promise<void> {
  await v.applied(revision);
  await expect.poll(() => s.sidecar.verifier.status().revision, { interval: 1 }).toBeGreaterThanOrEqual(revision);
}

describe("the token for a service behind a gateway", () => {
  it("is in the place of the key, and the service verifies it by itself", async () => {
    const { keyId, credential } = await issueKey(t, { scopes: ["a:*", "b"], ownerId: "acme" });
    const { jwt, gone } = await ask(credential);
    const said = await v.verifier.verify(jwt, { scopes: ["a:x", "b"] });
    expect(said).toMatchObject({ valid: true, kind: "JWT", keyId, ownerId: "acme" });
    expect(gone).toContain("x-api-key");
    expect(gone).not.toContain("authorization");
  });

  it("allows what the route asks for, and no more", async () => {
    const { credential } = await issueKey(t, { scopes: ["a:*", "b"] });
    const { jwt } = await ask(credential, { scope: "a:read" });
    expect((await v.verifier.verify(jwt)).scopes).toEqual(["a:read"]);
    expect(await v.verifier.verify(jwt, { scopes: ["b"] })).toMatchObject({ code: "INSUFFICIENT_SCOPE" });
  });

  it("is made once for all who ask at a time, and for each demand", async () => {
    const { credential } = await issueKey(t);
    const first = await Promise.all(Array.from({ length: 20 }, () => ask(credential)));
    expect(new Set(first.map(({ jwt }) => jwt)).size).toBe(1);
    expect([(await ask(credential)).jwt === first[0]?.jwt, s.derived()]).toEqual([true, 1]);
    await ask(credential, { scope: "invoices:read" });
    expect(s.derived()).toBe(2);
  });

  it.each([
    ["revoked", 401, "REVOKED", (keyId: string) => t.admin().revokeApiKey({ keyId })],
    [
      "narrowed",
      403,
      "INSUFFICIENT_SCOPE",
      (keyId: string) => t.admin().updateApiKey({ keyId, apiKey: { scopes: ["b"] } }),
    ],
  ])("is given to nobody once its key was %s", async (_, status, code, end) => {
    const { keyId, credential } = await issueKey(t, { scopes: ["a"] });
    const { jwt } = await ask(credential, { scope: "a" });
    await heard((await end(keyId)).revision);
    expect(await ask(credential, { scope: "a" })).toMatchObject({ status, code });
    expect((await v.verifier.verify(jwt)).code).toBe("REVOKED");
  });

  it("is another once it was revoked by itself, and once what it says of its key has changed", async () => {
    const { keyId, credential } = await issueKey(t, { ownerId: "acme" });
    const { jwt } = await ask(credential);
    const { tokenId = "" } = await v.verifier.verify(jwt);
    await heard((await t.admin().revokeToken({ target: { case: "tokenRef", value: { keyId, tokenId } } })).revision);
    const second = await ask(credential);
    expect((await v.verifier.verify(second.jwt)).valid).toBe(true);
    const changed = await t.admin().updateApiKey({ keyId, apiKey: { name: "another" } });
    await heard(changed.revision);
    expect((await ask(credential)).jwt).not.toBe(second.jwt);
  });

  it("can be made of a key that is bound to networks, and is bound to them itself", async () => {
    const { credential } = await issueKey(t, { allowedCidrs: ["10.0.0.0/8"] });
    const { jwt } = await ask(credential, { ip: "10.1.2.3" });
    expect((await v.verifier.verify(jwt, { clientIp: "10.9.9.9" })).valid).toBe(true);
    expect((await v.verifier.verify(jwt, { clientIp: "192.0.2.1" })).code).toBe("IP_NOT_ALLOWED");
    expect(await ask(credential, { ip: "192.0.2.1" })).toMatchObject({ status: 403, code: "IP_NOT_ALLOWED" });
  });

  it("is refused with 403 where the key's holder can't have one", async () => {
    const forbidden = await issueKey(t, { derivePolicy: { enabled: false } });
    expect(await ask(forbidden.credential)).toMatchObject({ status: 403, code: "DERIVATION_NOT_ALLOWED" });
    expect((await ask(forbidden.credential)).status).toBe(403);
    expect(s.derived()).toBe(1);
    await heard(
      (await t.admin().updateApiKey({ keyId: forbidden.keyId, apiKey: { derivePolicy: { enabled: true } } })).revision,
    );
    expect((await ask(forbidden.credential)).status).toBe(200);
    const forAnother = await issueKey(t, { derivePolicy: { enabled: true, audiences: ["https://other.example"] } });
    expect(await ask(forAnother.credential)).toMatchObject({ status: 403, code: "DERIVATION_NOT_ALLOWED" });
    expect(s.sidecar.readiness.degraded()).toEqual([]);
  });

  it("is 503 if none can be made, and goes on with what is left of one", async () => {
    const { credential } = await issueKey(t);
    const { jwt } = await ask(credential);
    s.disconnect();
    expect(await ask(credential)).toMatchObject({ status: 200, jwt });
    expect((await ask(credential, { scope: "invoices:read" })).status).toBe(503);
  });

  it("is 503, never 403, if the side-car's own key may make none", async () => {
    await s.close();
    await begin({}, []);
    expect(await ask((await issueKey(t)).credential)).toMatchObject({ status: 503, code: "UPSTREAM_UNAVAILABLE" });
  });

  it("is what the client has presented, if that is a derived token of the same audience; another's isn't exchanged", async () => {
    const { credential } = await issueKey(t);
    const { token } = await derive(t, credential);
    expect(await ask(token)).toMatchObject({ status: 403, code: "CREDENTIAL_KIND_NOT_ALLOWED" });
    await s.close();
    await begin({ upstreamJwt: testAudience });
    expect(await ask(token)).toMatchObject({ status: 200, jwt: token });
    const macaroon = await derive(t, credential, { format: TokenFormat.MACAROON });
    expect(await ask(macaroon.token)).toMatchObject({ status: 200, jwt: macaroon.token });
    expect(s.derived()).toBe(0);
  });

  it("isn't made for longer than the key lives", async () => {
    const endMs = t.clock.now() + 120_000;
    const { credential } = await issueKey(t, {
      expiration: { case: "expireTime", value: timestampFromDate(new Date(endMs)) },
    });
    const { jwt } = await ask(credential);
    expect((await v.verifier.verify(jwt)).expireTime?.getTime()).toBeLessThanOrEqual(endMs);
  });

  it("goes into the header that is named, which no client can fill", async () => {
    await s.close();
    const route = (within: string, more: Partial<GatewayRoute> = {}): GatewayRoute => ({
      path: { within },
      ...{ hosts: [], methods: [], scopes: [], audience: undefined, credential: "required" },
      ...{ credentialHeader: undefined, upstreamJwt: undefined, ...more },
    });
    const routes = [
      route("/open", { credential: "none" }),
      route("/maybe", { credential: "optional" }),
      route("/without", { upstreamJwt: "" }),
      route("/other", { upstreamJwt: "https://other.example" }),
      route("/"),
    ];
    await begin({ upstreamJwtHeader: "ichor-token", routes: { requestFrom: undefined, routes } });
    const { credential } = await issueKey(t);
    const spoofed = { "ichor-token": "of the client" };
    const { set, gone } = await ask(credential, { headers: spoofed });
    expect((await v.verifier.verify(set["ichor-token"] ?? "")).valid).toBe(true);
    expect(gone).toContain("authorization");
    for (const path of ["/open", "/maybe", "/without"]) {
      const without = await ask(path === "/without" ? credential : "", { path, headers: spoofed });
      expect([path, without.status, without.gone.includes("ichor-token")]).toEqual([path, 200, true]);
    }
    const other = await ask(credential, { path: "/other" });
    expect((await v.verifier.verify(other.set["ichor-token"] ?? "")).code).toBe("AUDIENCE_MISMATCH");
    expect((await ask(credential, { headers: { ichor_token: "x" } })).status).toBe(400);
  });
});
