import { ConnectError } from "@connectrpc/connect";
import { decodeJwt, decodeProtectedHeader } from "jose";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { BadRequestSchema } from "../../../gen/google/rpc/error_details_pb.ts";
import { TokenFormat } from "../../../gen/ichor/v1/api_key_pb.ts";
import { DerivationService } from "../../../gen/ichor/v1/derivation_service_pb.ts";
import { attenuateMacaroon } from "../../../services/core/macaroon/attenuate.ts";
import { readMacaroonText } from "../../../services/core/macaroon/text.ts";
import { reasonOfRejection } from "../../support/documented.ts";
import { startTestApp, type TestApp } from "../../support/test-app.ts";
import { codeOf, derive, issueKey, testAudience } from "../../support/tokens.ts";

let t: TestApp;
beforeAll(async () => {
  t = await startTestApp();
});
afterAll(() => t.close());

const issuer = "https://ichor.example";
const { JWT, MACAROON } = TokenFormat;
const seconds = (count: number) => ({ seconds: BigInt(count) });

/** The refused fields of a call. */
async function fieldsOf(call: Promise<unknown>): Promise<string[]> {
  const error = await call.then(
    () => undefined,
    (thrown: unknown) => ConnectError.from(thrown),
  );
  return error?.findDetails(BadRequestSchema)[0]?.fieldViolations.map(({ field }) => field) ?? [];
}

/** The caveats of a macaroon. */
const caveatsOf = (text: string) =>
  readMacaroonText(text)?.macaroon.caveats.map(({ id }) => Buffer.from(id).toString()) ?? [];

describe("a derived token", () => {
  it.each([JWT, MACAROON])(
    "of format %s verifies for its audience, and tells key, owner and scopes",
    async (format) => {
      const { keyId, credential } = await issueKey(t, { ownerId: "acme" });
      const derived = await derive(t, credential, { format, scopes: ["invoices:read"] });
      const request = { credential: derived.token, audience: testAudience, requiredScopes: ["invoices:read"] };
      for (const verified of [
        await t.admin().verifyCredential(request),
        await t.client(DerivationService).verifyToken(request),
      ]) {
        expect(verified).toMatchObject({ valid: true, tokenId: derived.tokenId });
        expect(verified.key).toMatchObject({ id: keyId, ownerId: "acme", scopes: ["invoices:read"] });
        expect(verified.key?.expireTime).toEqual(derived.expireTime);
      }
      const verify = t.client(DerivationService).verifyToken.bind(undefined);
      const { valid } = await verify({ ...request, requiredScopes: ["invoices:write"] });
      expect(valid).toBe(false);
    },
  );

  it("has the claims and the header that tokens.md promises", async () => {
    const { keyId, credential } = await issueKey(t, { ownerId: "acme" });
    const { token, tokenId } = await derive(t, credential, { ttl: seconds(300) });
    const iat = Math.floor(t.clock.now() / 1000);
    const { tenant } = await t.admin().getTenant({ tenant: "default" });
    expect(decodeJwt(token)).toEqual({
      ...{ iss: issuer, sub: "acme", aud: testAudience, exp: iat + 300, iat, nbf: iat, jti: tokenId },
      ...{ client_id: keyId, scope: "invoices:*", tenant: tenant?.id, epoch: 0 },
    });
    expect(decodeProtectedHeader(token)).toEqual({ alg: "EdDSA", kid: expect.any(String), typ: "at+jwt" });
  });

  it("lives 15 minutes unless told otherwise, no longer than is allowed, and no longer than its parent", async () => {
    const { credential } = await issueKey(t);
    const endOf = async (request: object, parent = credential) =>
      Number((await derive(t, parent, request)).expireTime?.seconds) - Math.floor(t.clock.now() / 1000);
    expect(await endOf({})).toBe(900);
    expect(await endOf({ ttl: seconds(86_400) })).toBe(86_400);
    expect(await fieldsOf(derive(t, credential, { ttl: seconds(86_401) }))).toEqual(["ttl"]);
    expect(await fieldsOf(derive(t, credential, { ttl: seconds(0) }))).toEqual(["ttl"]);
    const short = await issueKey(t, { expiration: { case: "ttl", value: seconds(60) } });
    expect(await endOf({ ttl: seconds(86_400) }, short.credential)).toBe(60);
    const graced = await issueKey(t);
    await t.admin().rotateApiKey({ keyId: graced.keyId, gracePeriod: seconds(120) });
    expect(await endOf({}, graced.credential)).toBe(120);
  });

  it("has only scopes that its parent has, and reserved ones only for the issuer alone", async () => {
    const { credential } = await issueKey(t, { scopes: ["a:*", "ichor:keys:read"] });
    expect((await derive(t, credential)).scopes).toEqual(["a:*"]);
    expect(await fieldsOf(derive(t, credential, { scopes: ["a:b", "b:c"] }))).toEqual(["scopes[1]"]);
    expect(await fieldsOf(derive(t, credential, { scopes: ["*"] }))).toEqual(["scopes[0]"]);
    const reserved = { scopes: ["ichor:keys:read"] };
    expect(await fieldsOf(derive(t, credential, reserved))).toEqual(["scopes[0]"]);
    expect(await fieldsOf(derive(t, credential, { ...reserved, audiences: [issuer, "x"] }))).toEqual(["scopes[0]"]);
    expect((await derive(t, credential, { ...reserved, audiences: [issuer] })).scopes).toEqual(["ichor:keys:read"]);
  });

  it("carries constraints, which a library that doesn't know them must refuse by `crit`", async () => {
    const { credential } = await issueKey(t, { allowedCidrs: ["10.0.0.0/8"], constraints: { audiences: ["a", "b"] } });
    const asAdmin = (request: object) => derive(t, t.rootCredential, { credential, audiences: ["a"], ...request });
    const { token } = await asAdmin({ constraints: { cidrs: ["10.1.0.0/16"], contextEquals: { region: "eu" } } });
    expect(decodeProtectedHeader(token)).toMatchObject({ crit: ["ichor-cst"], "ichor-cst": 1 });
    expect(decodeJwt(token).cst).toEqual({ cidrs: ["10.1.0.0/16"], context_equals: { region: "eu" } });
    const verify = (clientIp: string, context = { region: "eu" }) =>
      t.client(DerivationService).verifyToken({ credential: token, audience: "a", clientIp, context });
    expect((await verify("10.1.2.3")).valid).toBe(true);
    expect((await verify("10.2.2.3")).valid).toBe(false);
    expect((await verify("10.1.2.3", { region: "us" })).valid).toBe(false);
    expect(await fieldsOf(asAdmin({ audiences: ["c"] }))).toEqual(["audiences[0]"]);
    expect(await fieldsOf(asAdmin({ constraints: { cidrs: ["192.0.2.0/24"] } }))).toEqual(["constraints"]);
  });
});

describe("a derive policy", () => {
  it("bounds formats, audiences and lives", async () => {
    const derivePolicy = { enabled: true, formats: [JWT], audiences: ["a", "b"], maxTtl: seconds(60) };
    const { credential } = await issueKey(t, { derivePolicy });
    const { expireTime } = await derive(t, credential, { audiences: ["a"] });
    expect(Number(expireTime?.seconds)).toBe(Math.floor(t.clock.now() / 1000) + 60);
    expect(await reasonOfRejection(derive(t, credential, { audiences: ["a"], format: MACAROON }))).toBe(
      "DERIVATION_NOT_ALLOWED",
    );
    expect(await fieldsOf(derive(t, credential, { audiences: ["a", "c"], ttl: seconds(61) }))).toEqual([
      "ttl",
      "audiences[1]",
    ]);
    const { credential: closed } = await issueKey(t, { derivePolicy: { enabled: false } });
    expect(await reasonOfRejection(derive(t, closed))).toBe("DERIVATION_NOT_ALLOWED");
  });

  it("lets a holder set the claims that it lists, an administrator any; none can set a registered one", async () => {
    const { credential } = await issueKey(t, { derivePolicy: { enabled: true, customClaims: ["team"] } });
    const claims = (customClaims: Record<string, string>) => ({ customClaims });
    expect(decodeJwt((await derive(t, credential, claims({ team: "x" }))).token).team).toBe("x");
    expect(await fieldsOf(derive(t, credential, claims({ plan: "x" })))).toEqual(["custom_claims.plan"]);
    const asAdmin = { credential, ...claims({ plan: "x" }) };
    expect(decodeJwt((await derive(t, t.rootCredential, asAdmin)).token).plan).toBe("x");
    for (const name of ["sub", "scope", "cnf", "email", "tenant", "cst"]) {
      const call = derive(t, t.rootCredential, { credential, ...claims({ [name]: "x" }) });
      expect(await fieldsOf(call)).toEqual([`custom_claims.${name}`]);
    }
    expect(await fieldsOf(derive(t, credential, { format: MACAROON, ...claims({ team: "x" }) }))).toEqual([
      "custom_claims",
    ]);
  });

  it.each([
    ["derive_policy.max_ttl", { enabled: true, maxTtl: seconds(86_401) }],
    ["derive_policy.formats[0]", { enabled: true, formats: [9 as TokenFormat] }],
    ["derive_policy.audiences[0]", { enabled: true, audiences: ["a b"] }],
    ["derive_policy.custom_claims[0]", { enabled: true, customClaims: ["iss"] }],
  ])("that is malformed is refused by its field %s", async (field, derivePolicy) => {
    expect(await fieldsOf(issueKey(t, { derivePolicy }))).toEqual([field]);
  });
});

describe("a macaroon as parent", () => {
  it("gives a child by appending caveats: the same token, only narrower", async () => {
    const { credential } = await issueKey(t);
    const parent = await derive(t, credential, { format: MACAROON, ttl: seconds(600) });
    const child = await derive(t, parent.token, { format: MACAROON, scopes: ["invoices:read"], ttl: seconds(60) });
    expect(child.tokenId).toBe(parent.tokenId);
    const before = caveatsOf(parent.token);
    const end = Math.floor(t.clock.now() / 1000) + 60;
    expect(caveatsOf(child.token)).toEqual([...before, `exp < ${end}`, "scope = invoices:read"]);
    expect(await codeOf(t, child.token)).toBe("VALID");
    const wider = derive(t, child.token, { format: MACAROON, scopes: ["invoices:write"] });
    expect(await fieldsOf(wider)).toEqual(["scopes[0]"]);
    const elsewhere = derive(t, child.token, { format: MACAROON, audiences: ["x"] });
    expect(await fieldsOf(elsewhere)).toEqual(["audiences[0]"]);
    expect(await reasonOfRejection(derive(t, parent.token))).toBe("DERIVATION_NOT_ALLOWED");
  });

  it("may have been narrowed offline", async () => {
    const { token } = await derive(t, (await issueKey(t)).credential, { format: MACAROON });
    const narrowed = attenuateMacaroon(token, ["scope = invoices:read:own", "ctx.region = eu"]);
    const { token: child, scopes } = await derive(t, narrowed, { format: MACAROON });
    expect(scopes).toEqual(["invoices:read:own"]);
    const verified = await t
      .client(DerivationService)
      .verifyToken({ credential: child, audience: testAudience, context: { region: "eu" } });
    expect(verified.valid).toBe(true);
    expect(await codeOf(t, child)).toBe("CONSTRAINT_NOT_MET");
  });
});

describe("a JWT as caller", () => {
  const forIssuer = async (scopes: string[]) => {
    const { credential } = await issueKey(t, { scopes: [...scopes, "a:b"] });
    return (await derive(t, credential, { audiences: [issuer], scopes })).token;
  };

  it("acts with its scopes if the issuer is its sole audience", async () => {
    const { keyId } = await issueKey(t);
    const token = await forIssuer(["ichor:keys:read"]);
    expect((await t.admin(token).getApiKey({ keyId })).apiKey?.id).toBe(keyId);
    expect(await reasonOfRejection(t.admin(token).rotateApiKey({ keyId }))).toBe("SCOPE_MISSING");
    const { credential } = await issueKey(t, { scopes: ["ichor:keys:read"] });
    for (const audiences of [["x"], [issuer, "x"]]) {
      const other = await derive(t, credential, { audiences, scopes: [] });
      expect(await reasonOfRejection(t.admin(other.token).getApiKey({ keyId }))).toBe("CREDENTIAL_REFUSED");
    }
  });

  it("gets no credential with a reserved scope: neither issued, nor rotated, nor replayed", async () => {
    const token = await forIssuer(["ichor:keys:*"]);
    const reserved = { name: "k", scopes: ["ichor:keys:read"] };
    expect(await reasonOfRejection(t.admin(token).issueApiKey(reserved))).toBe("RESERVED_SCOPE_NOT_COVERED");
    const { keyId } = await issueKey(t, reserved);
    expect(await reasonOfRejection(t.admin(token).rotateApiKey({ keyId }))).toBe("RESERVED_SCOPE_NOT_COVERED");
    expect((await t.admin(token).issueApiKey({ name: "k", scopes: ["a:b"] })).credential).not.toBe("");
    const { credential } = await issueKey(t, { scopes: ["ichor:keys:*"] });
    await t.admin(credential).issueApiKey({ ...reserved, requestId: "once" });
    const same = (await derive(t, credential, { audiences: [issuer], scopes: ["ichor:keys:*"] })).token;
    const replay = t.admin(same).issueApiKey({ ...reserved, requestId: "once" });
    expect(await reasonOfRejection(replay)).toBe("RESERVED_SCOPE_NOT_COVERED");
  });
});
