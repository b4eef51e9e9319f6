import { createServer } from "node:net";
import { join } from "node:path";
import { createRouterTransport } from "@connectrpc/connect";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type CredentialVerifier, createRemoteVerifier } from "../../../services/verifier/remote-verifier.ts";
import { VerifierUnavailableError } from "../../../services/verifier/unavailable-error.ts";
import { temporaryFolder } from "../../support/server-process.ts";
import { startTestSidecar, type TestSidecar } from "../../support/sidecar.ts";
import { startTestApp, type TestApp } from "../../support/test-app.ts";
import { derive, issueKey, testAudience } from "../../support/tokens.ts";
import { breakable, makeTestVerifier, startTestVerifier } from "../../support/verifier.ts";

const folder = temporaryFolder("remote-verifier");
const socketPath = join(folder.path, "silent.sock");
let t: TestApp;
let s: TestSidecar;
let credential: string;
const audience = testAudience;
beforeAll(async () => {
  t = await startTestApp();
  s = await startTestSidecar(t);
  credential = (await issueKey(t, { scopes: ["ichor:keys:verify"] })).credential;
});
afterAll(async () => {
  await s.close();
  await t.close();
  folder.remove();
});

const ofServer = () => createRouterTransport(t.app.routes);
const ofSidecar = () => createRouterTransport(s.sidecar.routes);
const raw = (name: string) => `${name}-0123456789abcdefghijklmnop`;

describe.each([
  ["a server", () => createRemoteVerifier({ transport: ofServer(), credential, audience })],
  ["a side-car", () => createRemoteVerifier({ transport: ofSidecar(), audience })],
  [
    "an offline verifier that asks its own server about keys",
    async () => {
      const scopes = ["ichor:keyset:watch", `ichor:verify:aud:${audience}`, "ichor:keys:verify"];
      const own = await issueKey(t, { scopes });
      return (await startTestVerifier(t, { credential: own.credential, keys: {} })).verifier;
    },
  ],
  [
    "an offline verifier that asks a side-car about keys",
    async () => (await startTestVerifier(t, { keys: { transport: ofSidecar() } })).verifier,
  ],
])("the middleware's verifier, with %s", (_, make) => {
  let verifier: CredentialVerifier & { close?(): Promise<void> };
  beforeAll(async () => {
    verifier = await make();
  });
  afterAll(() => verifier.close?.());
  const verify: CredentialVerifier["verify"] = (...asked) => verifier.verify(...asked);

  it("tells an API key's owner, scopes, labels and metadata", async () => {
    const fields = { ownerId: "acme", scopes: ["a:*"], labels: { plan: "pro" }, metadata: { seats: 3 } };
    const key = await issueKey(t, { ...fields, expiration: { case: "ttl", value: { seconds: 3600n, nanos: 0 } } });
    expect(await verify(key.credential, { scopes: ["a:b"] })).toMatchObject({
      ...{ valid: true, code: "VALID", kind: "ISSUED_KEY", keyId: key.keyId, ...fields },
      expireTime: expect.any(Date),
    });
  });

  it("takes imported keys, JWTs and macaroons alike", async () => {
    const imported = raw(crypto.randomUUID());
    await t.admin().importApiKey({ name: "i", secret: { case: "raw", value: imported }, scopes: ["a"] });
    const { credential: parent } = await issueKey(t, { ownerId: "acme", scopes: ["a"] });
    const { token } = await derive(t, parent);
    const demand = { scopes: ["a"] };
    await expect.poll(() => verify(imported, demand)).toMatchObject({ valid: true, kind: "IMPORTED_KEY" });
    expect(await verify(token, demand)).toMatchObject({ valid: true, kind: "JWT", ownerId: "acme" });
  });

  it.each([
    ["text that is no credential", "nonsense", "NOT_FOUND"],
    ["text that is too long", "x".repeat(8193), "MALFORMED"],
    ["no text", "", "MALFORMED"],
  ])("refuses %s", async (_what, text, code) => {
    expect(await verify(text)).toMatchObject({ valid: false, code });
  });

  it("refuses a key that doesn't allow the request, and one that is bound to networks from no address", async () => {
    const key = await issueKey(t, { scopes: ["a"], allowedCidrs: ["10.0.0.0/8"] });
    const codeFrom = async (clientIp: string) => (await verify(key.credential, { scopes: ["a"], clientIp })).code;
    expect(await codeFrom("10.1.2.3")).toBe("VALID");
    expect(await codeFrom("192.0.2.1")).toBe("IP_NOT_ALLOWED");
    expect(await codeFrom("no address")).toBe("IP_NOT_ALLOWED");
    expect((await verify(key.credential, { scopes: ["b"], clientIp: "10.1.2.3" })).code).toBe("INSUFFICIENT_SCOPE");
  });

  it("tells what is left of rate limits, and when to come again", async () => {
    const rateLimits = [{ name: "l", limit: 2n, period: { seconds: 60n, nanos: 0 } }];
    const key = await issueKey(t, { scopes: ["a"], rateLimits });
    expect(await verify(key.credential)).toMatchObject({
      valid: true,
      rateLimits: [{ name: "l", limit: 2, remaining: 1 }],
    });
    expect(await verify(key.credential, { cost: 2 })).toMatchObject({
      ...{ valid: false, code: "RATE_LIMITED" },
      rateLimits: [{ name: "l", retryTime: expect.any(Date) }],
    });
  });

  it("rejects a demand that makes no sense as misuse", async () => {
    const key = await issueKey(t);
    await expect(verify(key.credential, { scopes: ["no scope"] })).rejects.toThrow(TypeError);
    await expect(verify(key.credential, { cost: 0.5 })).rejects.toThrow(TypeError);
    await expect(verify(key.credential, { cost: 2_000_000 })).rejects.toThrow(TypeError);
  });
});

describe("a verifier that asks", () => {
  it("can't tell if it is refused itself, or nobody answers, and shows no credential", async () => {
    const { credential: presented } = await issueKey(t);
    const powerless = await issueKey(t, { scopes: ["a"] });
    const line = breakable(ofServer());
    line.break();
    for (const verifier of [
      createRemoteVerifier({ transport: ofServer(), credential: powerless.credential }),
      createRemoteVerifier({ transport: ofServer(), credential: "ichor_sk_wrong" }),
      createRemoteVerifier({ transport: line.transport, credential }),
      createRemoteVerifier({ url: "http://127.0.0.1:1", credential }),
      createRemoteVerifier({ socketPath: "/nowhere/ichor.sock" }),
    ]) {
      const error: unknown = await verifier.verify(presented).catch((thrown: unknown) => thrown);
      expect(error).toBeInstanceOf(VerifierUnavailableError);
      expect(error).toMatchObject({ reason: "OFFLINE" });
      const { message, cause, stack } = error as Error;
      for (const secret of [presented, credential]) expect(`${message} ${cause} ${stack}`).not.toContain(secret);
    }
  });

  it("ends a question that takes too long", async () => {
    const silent = createServer();
    await new Promise<void>((resolve) => silent.listen(socketPath, resolve));
    const { verify } = createRemoteVerifier({ socketPath, timeoutMs: 50 });
    await expect(verify("x")).rejects.toMatchObject({ reason: "OFFLINE" });
    silent.close();
  });

  it("knows keys before it knows a key set, and tokens only then", async () => {
    const { credential: presented } = await issueKey(t);
    const { token } = await derive(t, presented);
    const made = await makeTestVerifier(t, { keys: { transport: ofSidecar() } });
    made.disconnect();
    expect(await made.verifier.verify(presented)).toMatchObject({ valid: true });
    await expect(made.verifier.verify(token)).rejects.toMatchObject({ reason: "NOT_READY" });
    await made.verifier.close();
  });

  it("asks nobody about other texts than tokens unless it is told whom", async () => {
    const made = await startTestVerifier(t);
    const { credential: presented } = await issueKey(t);
    expect(await made.verifier.verify(presented)).toMatchObject({ valid: false, code: "MALFORMED" });
    await made.verifier.close();
  });

  it.each([
    ["no way to ask", {}],
    ["two ways", { url: "http://a.example", socketPath: "/s" }],
    ["an empty credential", { url: "http://a.example", credential: "" }],
    ["no audience", { url: "http://a.example", audience: "two words" }],
    ["no time", { url: "http://a.example", timeoutMs: 0 }],
  ])("isn't made with %s", (_, options) => {
    expect(() => createRemoteVerifier(options)).toThrow(TypeError);
  });
});
