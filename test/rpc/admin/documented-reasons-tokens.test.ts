import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, describe } from "vitest";
import type { KeyId, TenantId } from "../../../services/core/ids.ts";
import { newId } from "../../../services/core/ids.ts";
import { documented } from "../../support/documented.ts";
import { startTestApp, type TestApp } from "../../support/test-app.ts";
import { derive, issueKey } from "../../support/tokens.ts";

let t: TestApp;
beforeAll(async () => {
  t = await startTestApp();
  await t.admin().createTenant({ slug: "acme", name: "Acme" });
});
afterAll(() => t.close());

const unknownKeyId = newId("key", 0, new Uint8Array(10));
const tokenId = newId("tok", 0, new Uint8Array(10));
const reused = "same-id";

/** Puts as many revoked tokens of a key into the store as it may have. */
async function fillRevocations(keyId: string): Promise<void> {
  await t.app.store.mutate(async (tx) => {
    const key = await tx.getKey(keyId as KeyId);
    const tenantId = key?.tenantId as TenantId;
    const tokens = Array.from({ length: 1000 }, () => ({
      keyId: keyId as KeyId,
      tokenId: newId("tok", t.clock.now(), randomBytes(10)),
      forgetTimeMs: t.clock.now() + 1000,
    }));
    for (const token of tokens) await tx.tokens.insertTokenRevocation(tenantId, token);
    const audit = { tenantId, action: "Test", target: keyId, address: "", requestId: "" };
    return { result: undefined, change: { kind: "token", tenantId, event: "revoked", tokens }, audit };
  });
}

describe("RevokeToken", () => {
  const target = (keyId: string) => ({ target: { case: "keyId" as const, value: keyId } });
  documented("RevokeToken", "INVALID_FIELD", () =>
    t.admin().revokeToken({ target: { case: "token", value: t.rootCredential } }),
  );
  documented("RevokeToken", "KEY_NOT_FOUND", () => t.admin().revokeToken(target(unknownKeyId)));
  documented("RevokeToken", "RESERVED_SCOPE_NOT_COVERED", async () => {
    const { credential } = await issueKey(t, { scopes: ["ichor:tokens:revoke"] });
    const { keyId } = await issueKey(t, { scopes: ["ichor:audit:read"] });
    return t.admin(credential).revokeToken(target(keyId));
  });
  documented("RevokeToken", "TOO_MANY_TOKEN_REVOCATIONS", async () => {
    const { keyId, credential } = await issueKey(t);
    await fillRevocations(keyId);
    const { token } = await derive(t, credential);
    return t.admin().revokeToken({ target: { case: "token", value: token } });
  });
  documented("RevokeToken", "REQUEST_ID_REUSED", async () => {
    const { keyId } = await issueKey(t);
    await t.admin().revokeToken({ ...target(keyId), requestId: reused });
    const ref = { case: "tokenRef" as const, value: { keyId, tokenId } };
    return t.admin().revokeToken({ target: ref, requestId: reused });
  });
});

describe("RotateSigningKey, RevokeSigningKey, RotateAudienceKey", () => {
  documented("RotateSigningKey", "NEXT_KEY_TOO_YOUNG", () => t.admin().rotateSigningKey({}));
  documented("RotateSigningKey", "REQUEST_ID_REUSED", async () => {
    await t.admin().rotateSigningKey({ force: true, requestId: reused });
    return t.admin().rotateSigningKey({ requestId: reused });
  });
  documented("RevokeSigningKey", "SIGNING_KEY_NOT_FOUND", () =>
    t.admin().revokeSigningKey({ signingKeyId: newId("sig", 0, new Uint8Array(10)) }),
  );
  documented("RevokeSigningKey", "REQUEST_ID_REUSED", async () => {
    const { signingKeys } = await t.admin().listSigningKeys({});
    const [one, other] = signingKeys.map(({ id }) => id);
    await t.admin().revokeSigningKey({ signingKeyId: one ?? "", requestId: reused });
    return t.admin().revokeSigningKey({ signingKeyId: other ?? "", requestId: reused });
  });
  documented("RotateAudienceKey", "INVALID_FIELD", () => t.admin().rotateAudienceKey({ audience: "a b" }));
  documented("RotateAudienceKey", "REQUEST_ID_REUSED", async () => {
    await t.admin().rotateAudienceKey({ audience: "a", requestId: reused });
    return t.admin().rotateAudienceKey({ audience: "b", requestId: reused });
  });
});

describe("tenants", () => {
  documented("CreateTenant", "INVALID_FIELD", () => t.admin().createTenant({ slug: "No", name: "no" }));
  documented("CreateTenant", "TENANT_ALREADY_EXISTS", () => t.admin().createTenant({ slug: "acme", name: "Acme" }));
  documented("CreateTenant", "REQUEST_ID_REUSED", async () => {
    await t.admin().createTenant({ slug: "one", name: "One", requestId: reused });
    return t.admin().createTenant({ slug: "two", name: "Two", requestId: reused });
  });
  documented("GetTenant", "TENANT_NOT_FOUND", () => t.admin().getTenant({ tenant: "nobody" }));
  documented("ListTenants", "INVALID_FIELD", () => t.admin().listTenants({ pageToken: "AAAA" }));
  documented("UpdateTenant", "INVALID_FIELD", () =>
    t.admin().updateTenant({ tenant: { slug: "acme" }, updateMask: { paths: ["state"] } }),
  );
  documented("UpdateTenant", "TENANT_NOT_FOUND", () =>
    t.admin().updateTenant({ tenant: { slug: "nobody", name: "Nobody" } }),
  );
  documented("UpdateTenant", "ETAG_MISMATCH", () =>
    t.admin().updateTenant({ tenant: { slug: "acme", name: "New" }, etag: "old" }),
  );
  documented("UpdateTenant", "REQUEST_ID_REUSED", async () => {
    await t.admin().updateTenant({ tenant: { slug: "acme", name: "New" }, requestId: reused });
    return t.admin().updateTenant({ tenant: { slug: "acme", name: "Newer" }, requestId: reused });
  });
  documented("DisableTenant", "TENANT_NOT_FOUND", () => t.admin().disableTenant({ tenant: "nobody" }));
  documented("DisableTenant", "DEFAULT_TENANT", () => t.admin().disableTenant({ tenant: "default" }));
  documented("DisableTenant", "REQUEST_ID_REUSED", async () => {
    await t.admin().disableTenant({ tenant: "acme", requestId: reused });
    return t.admin().disableTenant({ tenant: "default", requestId: reused });
  });
  documented("EnableTenant", "TENANT_NOT_FOUND", () => t.admin().enableTenant({ tenant: "nobody" }));
  documented("EnableTenant", "REQUEST_ID_REUSED", async () => {
    await t.admin().enableTenant({ tenant: "acme", requestId: reused });
    return t.admin().enableTenant({ tenant: "default", requestId: reused });
  });
});
