import { createRemoteJWKSet, errors, jwtVerify } from "jose";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { readMacaroonJson } from "../../services/core/macaroon/codec-json.ts";
import { writeMacaroonV2 } from "../../services/core/macaroon/codec-v2.ts";
import { readMacaroonText } from "../../services/core/macaroon/text.ts";
import { callJson } from "../support/calls.ts";
import { startTokenLibraries, type TokenLibraries } from "../support/clients/token-libraries.ts";
import { requirement } from "../support/requirements.ts";
import { type ServerProcess, startServer, temporaryFolder } from "../support/server-process.ts";
import { type ForeignMacaroon, npmMacaroon } from "../unit/core/macaroon/npm-macaroon.ts";

// Tokens of a running server in the hands of libraries that know nothing of it.

const audience = "https://api.example";
const folder = temporaryFolder("token-libraries");
let server: ServerProcess;
let credential: string;
beforeAll(async () => {
  server = await startServer({ dataDir: folder.path });
  credential = (await call("AdminService/IssueApiKey", { name: "k", ownerId: "acme", scopes: ["invoices:*"] }))
    .credential;
});
afterAll(async () => {
  await server.stop();
  folder.remove();
});

async function call(method: string, body: object, as = server.rootCredential) {
  const answer = await callJson(server.url, method, as, body);
  expect(answer.status, JSON.stringify(answer.body)).toBe(200);
  return answer.body;
}

// biome-ignore lint/suspicious/noExplicitAny: a test looks into whatever JSON came.
const anyJson = (json: unknown): any => json;

const derive = async (format: "JWT" | "MACAROON", more: object = {}, as = credential): Promise<string> =>
  (
    await call(
      "DerivationService/DeriveToken",
      { format: `TOKEN_FORMAT_${format}`, audiences: [audience], ...more },
      as,
    )
  ).token;

const codeOf = async (token: string, more: object = {}): Promise<string> =>
  (await call("DerivationService/VerifyToken", { credential: token, audience, ...more })).code.replace(
    "VERIFICATION_CODE_",
    "",
  );

const rootKey = async (): Promise<Buffer> => {
  const { audienceKeys } = await call("DerivationService/GetKeySet", { audiences: [audience] });
  return Buffer.from(audienceKeys[0].key, "base64");
};

const binaryOf = (token: string) => readMacaroonText(token)?.bytes ?? Buffer.alloc(0);
const caveatsOf = (token: string) =>
  readMacaroonText(token)?.macaroon.caveats.map(({ id }) => Buffer.from(id).toString()) ?? [];

describe("jose with createRemoteJWKSet", () => {
  const keys = () => createRemoteJWKSet(new URL(`${server.url}/.well-known/jwks.json`), { cooldownDuration: 0 });
  const verify = (token: string, set = keys()) =>
    jwtVerify(token, set, { issuer: server.url, audience, typ: "at+jwt", algorithms: ["EdDSA"] });

  it("verifies a derived JWT, and refuses one with constraints, since it can't check them", async () => {
    const { payload } = await verify(await derive("JWT", { scopes: ["invoices:read"] }));
    expect(payload).toMatchObject({ iss: server.url, sub: "acme", aud: audience, scope: "invoices:read" });
    const constrained = await derive("JWT", { constraints: { contextEquals: { region: "eu" } } });
    await expect(verify(constrained)).rejects.toThrow(errors.JOSENotSupported);
    expect(await codeOf(constrained, { context: { region: "eu" } })).toBe("VALID");
  });

  it("verifies what was signed before and after a rotation, and nothing of a compromised key", async () => {
    const before = await derive("JWT");
    const { signingKey } = await call("AdminService/RotateSigningKey", { force: true });
    const after = await derive("JWT");
    const set = keys();
    await verify(before, set);
    await verify(after, set);
    await call("AdminService/RevokeSigningKey", { signingKeyId: signingKey.id });
    expect([await codeOf(before), await codeOf(after)]).toEqual(["VALID", "SIGNATURE_INVALID"]);
    await expect(verify(after, keys())).rejects.toThrow(errors.JWKSNoMatchingKey);
    await verify(await derive("JWT"), keys());
  });
});

describe("the issuer's documents", () => {
  const get = (path: string, headers = {}) => fetch(`${server.url}${path}`, { headers });
  const read = async (path: string) => anyJson(await (await get(path)).json());

  it("are cached for 300 s, and aren't sent again to who has them", async () => {
    const first = await get("/.well-known/jwks.json");
    expect(first.headers.get("cache-control")).toBe("public, max-age=300");
    const etag = first.headers.get("etag") ?? "";
    const { keys } = anyJson(await first.json());
    expect(keys[0]).toMatchObject({ kty: "OKP", crv: "Ed25519", alg: "EdDSA", use: "sig" });
    expect(JSON.stringify(keys)).not.toContain('"d"');
    const again = await get("/.well-known/jwks.json", { "if-none-match": `"x", W/${etag}` });
    expect([again.status, await again.text(), again.headers.get("etag")]).toEqual([304, "", etag]);
    await call("AdminService/RotateSigningKey", { force: true });
    expect((await get("/.well-known/jwks.json", { "if-none-match": etag })).status).toBe(200);
  });

  it("are each tenant's own, and of no other path", async () => {
    const { tenant } = await call("AdminService/CreateTenant", { slug: "acme", name: "Acme" });
    const base = `/t/${tenant.id}/.well-known`;
    const metadata = await read(`${base}/oauth-authorization-server`);
    expect(metadata).toMatchObject({ issuer: tenant.issuer, jwks_uri: `${server.url}${base}/jwks.json` });
    expect(await read(`/.well-known/oauth-authorization-server/t/${tenant.id}`)).toEqual(metadata);
    const own = await read(`${base}/jwks.json`);
    const others = await read("/.well-known/jwks.json");
    expect(own.keys).toHaveLength(2);
    expect(own.keys.map(({ kid }: { kid: string }) => kid)).not.toEqual(
      expect.arrayContaining(others.keys.map(({ kid }: { kid: string }) => kid)),
    );
    for (const path of ["/t/acme/.well-known/jwks.json", "/t//.well-known/jwks.json", "/t/a/b/.well-known/jwks.json"]) {
      expect((await get(path)).status, path).toBe(404);
    }
  });
});

describe("npm macaroon", () => {
  /** Verifies with predicates that allow just these caveats; gives whether it did. */
  function verifies(macaroon: ForeignMacaroon, key: Uint8Array, satisfied: readonly string[]): boolean {
    try {
      macaroon.verify(key, (caveat) => (satisfied.includes(caveat) ? null : "not met"), []);
      return true;
    } catch {
      return false;
    }
  }

  it("verifies a derived macaroon with the audience key, and narrows it for good", async () => {
    const token = await derive("MACAROON");
    const key = await rootKey();
    const macaroon = npmMacaroon.importMacaroon(binaryOf(token));
    const caveats = caveatsOf(token);
    expect(verifies(macaroon, key, caveats)).toBe(true);
    expect(verifies(macaroon, key, caveats.slice(1))).toBe(false);
    expect(verifies(macaroon, Buffer.alloc(32), caveats)).toBe(false);
    macaroon.addFirstPartyCaveat("scope = invoices:read");
    const narrowed = readMacaroonJson(JSON.stringify(macaroon.exportJSON()));
    if (narrowed === undefined) throw new Error("the library's JSON isn't read");
    await onlyNarrower(`ichor_mc_${writeMacaroonV2(narrowed).toString("base64url")}`);
  });
});

/** What was narrowed to invoices:read elsewhere verifies here for that, and for nothing more. */
async function onlyNarrower(narrowed: string): Promise<void> {
  expect(await codeOf(narrowed, { requiredScopes: ["invoices:read"] })).toBe("VALID");
  expect(await codeOf(narrowed, { requiredScopes: ["invoices:write"] })).toBe("INSUFFICIENT_SCOPE");
}

const python = await requirement("python-tokens");
python.describe("PyJWT and pymacaroons", (interpreter) => {
  let libraries: TokenLibraries;
  beforeAll(() => {
    libraries = startTokenLibraries(interpreter);
  });
  afterAll(() => libraries.close());
  const checkJwt = (jwt: string) =>
    libraries.jwt({ jwt, jwks: `${server.url}/.well-known/jwks.json`, audience, issuer: server.url });

  it("verify a derived JWT, and refuse one with constraints", async () => {
    expect((await checkJwt(await derive("JWT"))).claims).toMatchObject({ iss: server.url, sub: "acme", aud: audience });
    const constrained = await derive("JWT", { constraints: { cidrs: ["192.0.2.0/24"] } });
    expect((await checkJwt(constrained)).refused).toBe("InvalidTokenError");
  });

  it("verify a derived macaroon with the audience key, and narrow it for good", async () => {
    const token = await derive("MACAROON");
    const key = (await rootKey()).toString("hex");
    const macaroon = binaryOf(token).toString("base64url");
    const satisfied = caveatsOf(token);
    expect((await libraries.macaroon({ macaroon, key, add: [], satisfied })).valid).toBe(true);
    const add = ["scope = invoices:read"];
    const { valid, narrowed } = await libraries.macaroon({ macaroon, key, add, satisfied });
    expect(valid).toBe(false);
    await onlyNarrower(`ichor_mc_${narrowed}`);
    const satisfiedAll = [...satisfied, ...add];
    expect((await libraries.macaroon({ macaroon: narrowed, key, add: [], satisfied: satisfiedAll })).valid).toBe(true);
  });
});
