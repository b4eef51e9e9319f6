import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { VerificationCode } from "../../../gen/ichor/v1/verification_pb.ts";
import { newId, type TenantId } from "../../../services/core/ids.ts";
import { reasonOfRejection } from "../../support/documented.ts";
import { insertTenant, startTestApp, type TestApp } from "../../support/test-app.ts";

let t: TestApp;
let acme: TenantId;
beforeAll(async () => {
  t = await startTestApp();
  acme = await insertTenant(t, { slug: "acme" });
});
afterAll(() => t.close());

/** Issues a key as root, in tenant `default` or in `acme`. */
async function issue(scopes: string[], tenant?: "acme"): Promise<{ keyId: string; credential: string }> {
  const root = t.admin(undefined, tenant && { "ichor-tenant": tenant });
  const { apiKey, credential } = await root.issueApiKey({ name: "k", scopes });
  return { keyId: apiKey?.id ?? "", credential };
}

describe("a caller with the scope *", () => {
  it("is not root: it holds no permission on Ichor itself", async () => {
    const { keyId, credential } = await issue(["*"]);
    const caller = t.admin(credential);
    expect(await reasonOfRejection(caller.getApiKey({ keyId }))).toBe("SCOPE_MISSING");
    expect(await reasonOfRejection(caller.issueApiKey({ name: "k", scopes: ["ichor:*"] }))).toBe("SCOPE_MISSING");
    expect(await reasonOfRejection(caller.verifyCredential({ credential }))).toBe("SCOPE_MISSING");
  });
});

describe("a key of another tenant that holds ichor:*", () => {
  it("acts inside its tenant", async () => {
    const { credential } = await issue(["ichor:*"], "acme");
    const { apiKey } = await t.admin(credential).issueApiKey({ name: "inner", scopes: ["ichor:keys:read"] });
    expect(apiKey?.tenantId).toBe(acme);
  });

  it("can't name another tenant, nor its own, nor one that isn't there: all with the same answer", async () => {
    const { keyId, credential } = await issue(["ichor:*"], "acme");
    for (const tenant of ["default", "acme", acme, "nobody"]) {
      const call = t.admin(credential, { "ichor-tenant": tenant }).getApiKey({ keyId });
      expect(await reasonOfRejection(call)).toBe("TENANT_NOT_ALLOWED");
    }
  });

  it("finds no key of another tenant, and can't change one", async () => {
    const { credential } = await issue(["ichor:*"], "acme");
    const foreign = await issue(["a:b"]);
    const caller = t.admin(credential);
    const { keyId } = foreign;
    for (const call of [
      caller.getApiKey({ keyId }),
      caller.rotateApiKey({ keyId }),
      caller.disableApiKey({ keyId }),
      caller.revokeApiKey({ keyId }),
      caller.deleteApiKey({ keyId }),
    ]) {
      expect(await reasonOfRejection(call)).toBe("KEY_NOT_FOUND");
    }
    const { code } = await caller.verifyCredential({ credential: foreign.credential });
    expect(code).toBe(VerificationCode.NOT_FOUND);
  });
});

describe("reserved scopes", () => {
  it("can't be granted, rotated, disabled or revoked by a caller that doesn't cover them", async () => {
    const { credential } = await issue(["ichor:keys:*"]);
    const { keyId } = await issue(["ichor:audit:read"]);
    const caller = t.admin(credential);
    for (const call of [
      caller.issueApiKey({ name: "k", scopes: ["ichor:audit:read"] }),
      caller.issueApiKey({ name: "k", scopes: ["ichor:*"] }),
      caller.rotateApiKey({ keyId }),
      caller.disableApiKey({ keyId }),
      caller.revokeApiKey({ keyId }),
    ]) {
      expect(await reasonOfRejection(call)).toBe("RESERVED_SCOPE_NOT_COVERED");
    }
  });

  it("can be granted by a caller that covers them", async () => {
    const { credential } = await issue(["ichor:keys:*"]);
    const { apiKey } = await t.admin(credential).issueApiKey({ name: "k", scopes: ["ichor:keys:read", "any:*"] });
    expect(apiKey?.scopes).toEqual(["ichor:keys:read", "any:*"]);
  });

  it("can't be held by a public key", async () => {
    const call = t.admin().issueApiKey({ name: "k", scopes: ["ichor:keys:read"], visibility: 2 });
    expect(await reasonOfRejection(call)).toBe("INVALID_FIELD");
  });
});

describe("the last live root credential", () => {
  it("can't be disabled or revoked, and can once there is another", async () => {
    const { key } = await t.admin().verifyCredential({ credential: t.rootCredential });
    const keyId = key?.id ?? "";
    expect(await reasonOfRejection(t.admin().disableApiKey({ keyId }))).toBe("LAST_ROOT_CREDENTIAL");
    expect(await reasonOfRejection(t.admin().revokeApiKey({ keyId }))).toBe("LAST_ROOT_CREDENTIAL");
    // Neither a root of another tenant counts, nor a narrowed one, nor a disabled one.
    await issue(["ichor:*"], "acme");
    await t.admin().issueApiKey({ name: "k", scopes: ["ichor:*"], constraints: { scopes: ["a:b"] } });
    await t.admin().issueApiKey({ name: "k", scopes: ["ichor:*"], allowedCidrs: ["192.0.2.1/32"] });
    const second = await issue(["ichor:*"]);
    await t.admin().disableApiKey({ keyId: second.keyId });
    expect(await reasonOfRejection(t.admin().revokeApiKey({ keyId }))).toBe("LAST_ROOT_CREDENTIAL");
    await t.admin().enableApiKey({ keyId: second.keyId });
    await t.admin().disableApiKey({ keyId });
    expect(await reasonOfRejection(t.admin(second.credential).disableApiKey({ keyId: second.keyId }))).toBe(
      "LAST_ROOT_CREDENTIAL",
    );
    await t.admin(second.credential).enableApiKey({ keyId });
  });

  it("stays when all of them are disabled at the same time", async () => {
    const alone = await startTestApp();
    await Promise.all([1, 2].map((i) => alone.admin().issueApiKey({ name: `r${i}`, scopes: ["ichor:*"] })));
    const roots = await alone.app.store.liveRootKeyIds(alone.clock.now());
    const calls = roots.map((keyId) => alone.admin().disableApiKey({ keyId }));
    const reasons = (await Promise.allSettled(calls)).map(({ status }) => status);
    expect(reasons.sort()).toEqual(["fulfilled", "fulfilled", "rejected"]);
    expect(await alone.app.store.liveRootKeyIds(alone.clock.now())).toHaveLength(1);
    await alone.close();
  });
});

describe("a caller whose key ends", () => {
  it("is refused from the next call on, whichever way it ended, with the same answer", async () => {
    const ends = [
      (keyId: string) => t.admin().disableApiKey({ keyId }),
      (keyId: string) => t.admin().revokeApiKey({ keyId }),
      (keyId: string) => t.admin().rotateApiKey({ keyId, gracePeriod: { seconds: 0n } }),
    ];
    for (const end of ends) {
      const { keyId, credential } = await issue(["ichor:keys:read"]);
      await t.admin(credential).getApiKey({ keyId });
      await end(keyId);
      expect(await reasonOfRejection(t.admin(credential).getApiKey({ keyId }))).toBe("CREDENTIAL_REFUSED");
    }
  });

  it("is refused when its constraints exclude Ichor as audience", async () => {
    const { apiKey, credential } = await t
      .admin()
      .issueApiKey({ name: "k", scopes: ["ichor:*"], constraints: { audiences: ["elsewhere"] } });
    expect(await reasonOfRejection(t.admin(credential).getApiKey({ keyId: apiKey?.id ?? "" }))).toBe(
      "CREDENTIAL_REFUSED",
    );
  });

  it("keeps only the scopes that its constraints leave", async () => {
    const { apiKey, credential } = await t
      .admin()
      .issueApiKey({ name: "k", scopes: ["ichor:*"], constraints: { scopes: ["ichor:keys:read"] } });
    const keyId = apiKey?.id ?? "";
    await t.admin(credential).getApiKey({ keyId });
    expect(await reasonOfRejection(t.admin(credential).rotateApiKey({ keyId }))).toBe("SCOPE_MISSING");
    await t.admin().revokeApiKey({ keyId });
  });
});

it("knows a tenant by its id as by its slug", async () => {
  for (const tenant of ["acme", acme]) {
    const { apiKey } = await t.admin(undefined, { "ichor-tenant": tenant }).issueApiKey({ name: "k" });
    expect(apiKey?.tenantId).toBe(acme);
  }
  const unknown = newId("ten", 1, new Uint8Array(10));
  const call = t.admin(undefined, { "ichor-tenant": unknown }).issueApiKey({ name: "k" });
  expect(await reasonOfRejection(call)).toBe("TENANT_NOT_FOUND");
});
