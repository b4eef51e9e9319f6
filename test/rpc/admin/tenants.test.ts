import { ConnectError } from "@connectrpc/connect";
import { createLocalJWKSet, errors, jwtVerify } from "jose";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { BadRequestSchema } from "../../../gen/google/rpc/error_details_pb.ts";
import { TokenFormat } from "../../../gen/ichor/v1/api_key_pb.ts";
import { DerivationService } from "../../../gen/ichor/v1/derivation_service_pb.ts";
import { SigningAlgorithm } from "../../../gen/ichor/v1/signing_key_pb.ts";
import { TenantState } from "../../../gen/ichor/v1/tenant_pb.ts";
import { reasonOfRejection } from "../../support/documented.ts";
import { startTestApp, type TestApp } from "../../support/test-app.ts";
import { codeOf, derive, issueKey, testAudience } from "../../support/tokens.ts";

let t: TestApp;
beforeAll(async () => {
  t = await startTestApp();
  await t.admin().createTenant({ slug: "acme", name: "Acme" });
});
afterAll(() => t.close());

const seconds = (count: number) => ({ seconds: BigInt(count) });
const acme = async () => (await t.admin().getTenant({ tenant: "acme" })).tenant;

async function fieldsOf(call: Promise<unknown>): Promise<string[]> {
  const error = await call.then(
    () => undefined,
    (thrown: unknown) => ConnectError.from(thrown),
  );
  return error?.findDetails(BadRequestSchema)[0]?.fieldViolations.map(({ field }) => field) ?? [];
}

describe("a new tenant", () => {
  it("is active, an issuer of its own, and has the default settings", async () => {
    const tenant = await acme();
    expect(tenant).toMatchObject({ slug: "acme", name: "Acme", state: TenantState.ACTIVE });
    expect(tenant?.issuer).toBe(`https://ichor.example/t/${tenant?.id}`);
    expect(tenant?.settings).toMatchObject({
      ...{ secretPrefixes: ["ichor_sk"], publicPrefixes: ["ichor_pk"], macaroonPrefix: "ichor_mc" },
      ...{ neverExpiresAllowed: true, selfRotationAllowed: true, signingAlgorithm: SigningAlgorithm.EDDSA },
      ...{ keyTtl: seconds(31_536_000), tokenTtl: seconds(900), tokenTtlMax: seconds(86_400) },
      signingKeyPeriod: seconds(2_592_000),
      ...{ keysMax: 0, keysPerOwnerMax: 0, importedKeyBytesMin: 16, deadKeyRetentionDays: 0 },
    });
    expect(await t.admin().getTenant({ tenant: tenant?.id ?? "" })).toMatchObject({ tenant: { slug: "acme" } });
  });

  it.each([
    ["ES256", SigningAlgorithm.ES256],
    ["RS256", SigningAlgorithm.RS256],
  ])("signs with %s if its settings say so", async (name, signingAlgorithm) => {
    const slug = `with-${name.toLowerCase()}`;
    await t.admin().createTenant({ slug, name, settings: { signingAlgorithm } });
    const { token } = await derive(t, (await issueKey(t, {}, slug)).credential);
    expect(await codeOf(t, token, slug)).toBe("VALID");
  });

  it.each([
    ["settings.secret_prefixes[0]", { secretPrefixes: ["No"] }],
    ["settings.macaroon_prefix", { macaroonPrefix: "ichor_sk" }],
    ["settings.macaroon_prefix", { macaroonPrefix: "ichor" }],
    ["settings.key_ttl", { keyTtl: seconds(0) }],
    ["settings.token_ttl", { tokenTtl: seconds(600), tokenTtlMax: seconds(60) }],
    ["settings.token_ttl_max", { tokenTtlMax: seconds(86_401) }],
    ["settings.signing_key_period", { signingKeyPeriod: seconds(3600) }],
    ["settings.signing_algorithm", { signingAlgorithm: 9 as SigningAlgorithm }],
    ["settings.keys_max", { keysMax: -1 }],
    ["settings.keys_max", { keysMax: 1_000_000_001 }],
    ["settings.keys_per_owner_max", { keysPerOwnerMax: 100_001 }],
    ["settings.imported_key_bytes_min", { importedKeyBytesMin: 17 }],
    ["settings.dead_key_retention_days", { deadKeyRetentionDays: 3651 }],
  ])("is refused with %s out of bounds", async (field, settings) => {
    expect(await fieldsOf(t.admin().createTenant({ slug: "bad", name: "Bad", settings }))).toContain(field);
  });
});

describe("a tenant that isn't the caller's", () => {
  it("can be managed only by callers of tenant default that hold ichor:system", async () => {
    const inside = await issueKey(t, { scopes: ["ichor:*"] }, "acme");
    const narrow = await issueKey(t, { scopes: ["ichor:tenants:*"] });
    for (const { credential } of [inside, narrow]) {
      expect(await reasonOfRejection(t.admin(credential).getTenant({ tenant: "acme" }))).toBe("SCOPE_MISSING");
      expect(await reasonOfRejection(t.admin(credential).disableTenant({ tenant: "acme" }))).toBe("SCOPE_MISSING");
    }
  });
});

describe("UpdateTenant", () => {
  it("changes what the mask names, and gives what is named but not set its default", async () => {
    const tenant = { slug: "acme", name: "New", settings: { tokenTtl: seconds(60), neverExpiresAllowed: false } };
    const paths = (...names: string[]) => ({ updateMask: { paths: names } });
    await t.admin().updateTenant({ tenant, ...paths("settings.token_ttl") });
    expect(await acme()).toMatchObject({
      name: "Acme",
      settings: { tokenTtl: seconds(60), neverExpiresAllowed: true },
    });
    await t.admin().updateTenant({ tenant: { slug: "acme" }, ...paths("settings.token_ttl") });
    expect((await acme())?.settings?.tokenTtl).toMatchObject(seconds(900));
    await t.admin().updateTenant({ tenant });
    expect(await acme()).toMatchObject({
      name: "New",
      settings: { tokenTtl: seconds(60), neverExpiresAllowed: false },
    });
    await t.admin().updateTenant({ tenant: { slug: "acme", name: "Acme" }, ...paths("name", "settings") });
    expect(await acme()).toMatchObject({ name: "Acme", settings: { tokenTtl: seconds(900) } });
  });

  it("sets quotas that the next key meets, and lifts them again", async () => {
    const settings = { keysMax: 2, keysPerOwnerMax: 1, importedKeyBytesMin: 4, deadKeyRetentionDays: 90 };
    await t.admin().createTenant({ slug: "quotas", name: "Quotas", settings });
    const told = async () => (await t.admin().getTenant({ tenant: "quotas" })).tenant?.settings;
    expect(await told()).toMatchObject(settings);
    const acting = t.admin(undefined, { "ichor-tenant": "quotas" });
    const issue = (ownerId: string) => acting.issueApiKey({ name: "k", ownerId });
    await acting.importApiKey({ name: "short", ownerId: "a", secret: { case: "raw", value: "four" } });
    expect(await reasonOfRejection(issue("a"))).toBe("QUOTA_EXCEEDED");
    await issue("b");
    expect(await reasonOfRejection(issue("c"))).toBe("QUOTA_EXCEEDED");
    const update = (paths: string[], changed = {}) =>
      t.admin().updateTenant({ tenant: { slug: "quotas", settings: changed }, updateMask: { paths } });
    await update(["settings.keys_max"], { keysMax: 3 });
    await issue("c");
    expect(await told()).toMatchObject({ ...settings, keysMax: 3 });
    await update(["settings.keys_max", "settings.keys_per_owner_max", "settings.dead_key_retention_days"]);
    expect(await told()).toMatchObject({ keysMax: 0, keysPerOwnerMax: 0, deadKeyRetentionDays: 0 });
    await issue("a");
  });

  it("is refused with an etag of before, and changes nothing when it says what is", async () => {
    const before = await acme();
    const etag = before?.etag ?? "";
    const { revision } = await t.admin().updateTenant({ tenant: { slug: "acme", name: "Other" }, etag });
    const stale = t.admin().updateTenant({ tenant: { slug: "acme", name: "Third" }, etag });
    expect(await reasonOfRejection(stale)).toBe("ETAG_MISMATCH");
    expect((await t.admin().updateTenant({ tenant: { slug: "acme", name: "Other" } })).revision).toBe(revision);
  });
});

describe("ListTenants", () => {
  it("gives every tenant once, by slug, whatever the size of the page", async () => {
    const all = (await t.admin().listTenants({ pageSize: 1000 })).tenants.map(({ slug }) => slug);
    expect(all).toEqual([...all].sort());
    const seen: string[] = [];
    let pageToken = "";
    do {
      const page = await t.admin().listTenants({ pageSize: 1, pageToken });
      seen.push(...page.tenants.map(({ slug }) => slug));
      pageToken = page.nextPageToken;
    } while (pageToken !== "");
    expect(seen).toEqual(all);
  });
});

describe("tokens of one tenant", () => {
  it.each([TokenFormat.JWT, TokenFormat.MACAROON])("are none of another's (format %s)", async (format) => {
    const own = await derive(t, (await issueKey(t, {}, "acme")).credential, { format });
    expect(await codeOf(t, own.token, "acme")).toBe("VALID");
    expect(await codeOf(t, own.token)).toBe("SIGNATURE_INVALID");
    const others = await derive(t, (await issueKey(t)).credential, { format });
    expect(await codeOf(t, others.token, "acme")).toBe("SIGNATURE_INVALID");
  });

  it("aren't accepted by a JOSE library that verifies for the other, whatever their audience", async () => {
    const keySet = await t.client(DerivationService).getKeySet({});
    const keys = createLocalJWKSet({ keys: keySet.signingKeys.map(({ publicJwk }) => publicJwk as never) });
    const verify = (token: string, audience: string) =>
      jwtVerify(token, keys, { issuer: keySet.issuer, audience, typ: "at+jwt", currentDate: new Date(t.clock.now()) });
    const own = await derive(t, (await issueKey(t)).credential);
    await verify(own.token, testAudience);
    const { credential } = await issueKey(t, { scopes: ["*"] }, "acme");
    for (const audience of [testAudience, keySet.issuer, "https://ichor.example/t/x"]) {
      const { token } = await derive(t, credential, { audiences: [audience] });
      await expect(verify(token, audience)).rejects.toThrow(errors.JWKSNoMatchingKey);
    }
  });

  it("are refused while the tenant is disabled, and verify again once it is enabled", async () => {
    await t.admin().createTenant({ slug: "off", name: "Off" });
    const { credential } = await issueKey(t, {}, "off");
    const tokens = [
      (await derive(t, credential)).token,
      (await derive(t, credential, { format: TokenFormat.MACAROON })).token,
    ];
    await t.admin().disableTenant({ tenant: "off" });
    for (const token of tokens) expect(await codeOf(t, token, "off")).toBe("DISABLED");
    expect(await reasonOfRejection(derive(t, credential))).toBe("CREDENTIAL_REFUSED");
    await t.admin().enableTenant({ tenant: "off" });
    for (const token of tokens) expect(await codeOf(t, token, "off")).toBe("VALID");
  });
});

describe("GetKeySet", () => {
  it("gives audience keys to who verifies for the audience, and only the tenant's", async () => {
    const { credential } = await issueKey(
      t,
      { scopes: ["ichor:keyset:watch", `ichor:verify:aud:${testAudience}`] },
      "acme",
    );
    const watch = t.client(DerivationService, credential);
    const own = await watch.getKeySet({ audiences: [testAudience] });
    const root = await t.client(DerivationService).getKeySet({ audiences: [testAudience] });
    expect(own.signingKeys).toHaveLength(2);
    expect(own.audienceKeys).toMatchObject([{ audience: testAudience, generation: 1n }]);
    expect(own.audienceKeys[0]?.key).toHaveLength(32);
    expect(own.audienceKeys[0]?.key).not.toEqual(root.audienceKeys[0]?.key);
    expect((await watch.getKeySet({})).audienceKeys).toEqual([]);
  });
});
