import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, describe } from "vitest";
import type { ApiKey } from "../../../services/core/api-key.ts";
import { type KeyId, newId } from "../../../services/core/ids.ts";
import type { StoreTransaction } from "../../../services/store/port.ts";
import { documented } from "../../support/documented.ts";
import { insertTenant, startTestApp, type TestApp } from "../../support/test-app.ts";

let t: TestApp;
beforeAll(async () => {
  t = await startTestApp();
});
afterAll(() => t.close());

const unknownKeyId = newId("key", 0, new Uint8Array(10));
const day = 86_400n;

/** Issues a key as root; gives its id and credential. */
async function issue(
  fields: { scopes?: string[]; ttlSeconds?: bigint } = {},
): Promise<{ keyId: string; credential: string }> {
  const { scopes = [], ttlSeconds = day } = fields;
  const { apiKey, credential } = await t
    .admin()
    .issueApiKey({ name: "k", scopes, expiration: { case: "ttl", value: { seconds: ttlSeconds } } });
  return { keyId: apiKey?.id ?? "", credential };
}

async function revoked(): Promise<{ keyId: string }> {
  const { keyId } = await issue();
  await t.admin().revokeApiKey({ keyId });
  return { keyId };
}

/** Changes the store behind the methods' back, for states that none of them makes. */
async function alter(
  keyId: string,
  change: (key: ApiKey, tx: StoreTransaction, revision: bigint) => Promise<void>,
): Promise<void> {
  await t.app.store.mutate(async (tx, revision) => {
    const key = (await tx.getKey(keyId as KeyId)) as ApiKey;
    await change(key, tx, revision);
    const audit = { tenantId: key.tenantId, action: "Test", target: keyId, address: "", requestId: "" };
    return {
      result: undefined,
      change: { kind: "key", tenantId: key.tenantId, event: "changed", keyIds: [key.id] },
      audit,
    };
  });
}

/** A caller that may write keys, and holds no other reserved scope. */
async function writer() {
  return t.admin((await issue({ scopes: ["ichor:keys:write"] })).credential);
}

/** A key with a reserved scope that `writer` doesn't cover. */
const auditor = () => issue({ scopes: ["ichor:audit:read"] });

const reused = "same-id";

describe("AdminService as a whole", () => {
  documented("AdminService", "CREDENTIAL_MISSING", () =>
    t.admin("", { authorization: "" }).getApiKey({ keyId: unknownKeyId }),
  );
  documented("AdminService", "CREDENTIAL_REFUSED", () =>
    t.admin("ichor_sk_nonsense").getApiKey({ keyId: unknownKeyId }),
  );
  documented("AdminService", "SCOPE_MISSING", async () =>
    t.admin((await issue()).credential).getApiKey({ keyId: unknownKeyId }),
  );
  documented("AdminService", "TENANT_NOT_ALLOWED", async () => {
    const { credential } = await issue({ scopes: ["ichor:keys:*"] });
    return t.admin(credential, { "ichor-tenant": "default" }).getApiKey({ keyId: unknownKeyId });
  });
  documented("AdminService", "TENANT_NOT_FOUND", () =>
    t.admin(undefined, { "ichor-tenant": "nobody" }).getApiKey({ keyId: unknownKeyId }),
  );
  documented("AdminService", "INVALID_FIELD", () => t.admin().getApiKey({ keyId: "key_1" }));
  documented("AdminService", "REQUEST_TOO_LARGE", () => t.admin().issueApiKey({ name: "x".repeat(1024 * 1024) }));
  documented("AdminService", "DEADLINE_EXCEEDED", () =>
    t.admin(undefined, { "connect-timeout-ms": "0" }).getApiKey({ keyId: unknownKeyId }),
  );
  documented("AdminService", "SECRET_NOT_LOADED", async () => {
    const { keyId, credential } = await issue();
    const unloaded = (key: ApiKey) => key.secretVersions.map((version) => ({ ...version, pepperId: "pep_gone" }));
    await alter(keyId, (key, tx, revision) => tx.updateKey({ ...key, secretVersions: unloaded(key), revision }));
    return t.admin().verifyCredential({ credential });
  });
});

describe("IssueApiKey", () => {
  documented("IssueApiKey", "RESERVED_SCOPE_NOT_COVERED", async () =>
    (await writer()).issueApiKey({ name: "k", scopes: ["ichor:keys:read"] }),
  );
  documented("IssueApiKey", "REQUEST_ID_REUSED", async () => {
    await t.admin().issueApiKey({ name: "one", requestId: reused });
    return t.admin().issueApiKey({ name: "two", requestId: reused });
  });
});

describe("GetApiKey", () => {
  documented("GetApiKey", "KEY_NOT_FOUND", () => t.admin().getApiKey({ keyId: unknownKeyId }));
});

describe("VerifyCredential, BatchVerifyCredentials", () => {
  const future = 1_000_000n;
  const soon = () => ({ headers: { authorization: `Bearer ${t.rootCredential}` }, timeoutMs: 1000 });
  documented("VerifyCredential", "REVISION_NOT_REACHED", () =>
    t.admin().verifyCredential({ credential: "x", minRevision: future }, soon()),
  );
  documented("BatchVerifyCredentials", "REVISION_NOT_REACHED", () =>
    t.admin().batchVerifyCredentials({ requests: [{ credential: "x", minRevision: future }] }, soon()),
  );
});

describe("RotateApiKey", () => {
  documented("RotateApiKey", "KEY_NOT_FOUND", () => t.admin().rotateApiKey({ keyId: unknownKeyId }));
  documented("RotateApiKey", "KEY_REVOKED", async () => t.admin().rotateApiKey(await revoked()));
  documented("RotateApiKey", "KEY_EXPIRED", async () => {
    const { keyId } = await issue({ ttlSeconds: 1n });
    t.clock.advance(1000);
    return t.admin().rotateApiKey({ keyId });
  });
  documented("RotateApiKey", "KEY_KIND_NOT_ALLOWED", async () => {
    const keyId = newId("key", 0, new Uint8Array(10).fill(1));
    const secretVersions = [{ number: 1, digest: new Uint8Array(32), pepperId: "pep_any", createTimeMs: 0 }];
    await alter((await issue()).keyId, (key, tx) =>
      tx.insertKey({ ...key, id: keyId, kind: "IMPORTED_KEY", prefix: "", secretVersions }),
    );
    return t.admin().rotateApiKey({ keyId });
  });
  documented("RotateApiKey", "TOO_MANY_SECRET_VERSIONS", async () => {
    const { keyId } = await issue({ ttlSeconds: 100n * day });
    for (let i = 1; i < 10; i++) await t.admin().rotateApiKey({ keyId });
    return t.admin().rotateApiKey({ keyId });
  });
  documented("RotateApiKey", "RESERVED_SCOPE_NOT_COVERED", async () =>
    (await writer()).rotateApiKey({ keyId: (await auditor()).keyId }),
  );
  documented("RotateApiKey", "REQUEST_ID_REUSED", async () => {
    const { keyId } = await issue();
    await t.admin().rotateApiKey({ keyId, requestId: reused });
    return t.admin().rotateApiKey({ keyId, requestId: reused, revokeDerived: true });
  });
});

describe("EndGracePeriod", () => {
  documented("EndGracePeriod", "KEY_NOT_FOUND", () => t.admin().endGracePeriod({ keyId: unknownKeyId }));
  documented("EndGracePeriod", "KEY_REVOKED", async () => t.admin().endGracePeriod(await revoked()));
  documented("EndGracePeriod", "RESERVED_SCOPE_NOT_COVERED", async () =>
    (await writer()).endGracePeriod({ keyId: (await auditor()).keyId }),
  );
  documented("EndGracePeriod", "REQUEST_ID_REUSED", async () => {
    const [{ keyId }, other] = [await issue(), await issue()];
    await t.admin().rotateApiKey({ keyId });
    await t.admin().endGracePeriod({ keyId, requestId: reused });
    return t.admin().endGracePeriod({ keyId: other.keyId, requestId: reused });
  });
});

describe("DisableApiKey", () => {
  documented("DisableApiKey", "KEY_NOT_FOUND", () => t.admin().disableApiKey({ keyId: unknownKeyId }));
  documented("DisableApiKey", "KEY_REVOKED", async () => t.admin().disableApiKey(await revoked()));
  documented("DisableApiKey", "LAST_ROOT_CREDENTIAL", async () =>
    t.admin().disableApiKey({ keyId: await rootKeyId() }),
  );
  documented("DisableApiKey", "RESERVED_SCOPE_NOT_COVERED", async () =>
    (await writer()).disableApiKey({ keyId: (await auditor()).keyId }),
  );
  documented("DisableApiKey", "REQUEST_ID_REUSED", async () => {
    await t.admin().disableApiKey({ keyId: (await issue()).keyId, requestId: reused });
    return t.admin().disableApiKey({ keyId: (await issue()).keyId, requestId: reused });
  });
});

describe("EnableApiKey", () => {
  documented("EnableApiKey", "KEY_NOT_FOUND", () => t.admin().enableApiKey({ keyId: unknownKeyId }));
  documented("EnableApiKey", "KEY_REVOKED", async () => t.admin().enableApiKey(await revoked()));
  documented("EnableApiKey", "RESERVED_SCOPE_NOT_COVERED", async () =>
    (await writer()).enableApiKey({ keyId: (await auditor()).keyId }),
  );
  documented("EnableApiKey", "REQUEST_ID_REUSED", async () => {
    const { keyId } = await issue();
    await t.admin().disableApiKey({ keyId });
    await t.admin().enableApiKey({ keyId, requestId: reused });
    return t.admin().enableApiKey({ keyId: (await issue()).keyId, requestId: reused });
  });
});

describe("RevokeApiKey", () => {
  documented("RevokeApiKey", "KEY_NOT_FOUND", () => t.admin().revokeApiKey({ keyId: unknownKeyId }));
  documented("RevokeApiKey", "LAST_ROOT_CREDENTIAL", async () => t.admin().revokeApiKey({ keyId: await rootKeyId() }));
  documented("RevokeApiKey", "RESERVED_SCOPE_NOT_COVERED", async () =>
    (await writer()).revokeApiKey({ keyId: (await auditor()).keyId }),
  );
  documented("RevokeApiKey", "REQUEST_ID_REUSED", async () => {
    const { keyId } = await issue();
    await t.admin().revokeApiKey({ keyId, requestId: reused });
    return t.admin().revokeApiKey({ keyId, comment: "other", requestId: reused });
  });
});

describe("DeleteApiKey", () => {
  documented("DeleteApiKey", "KEY_NOT_FOUND", () => t.admin().deleteApiKey({ keyId: unknownKeyId }));
  documented("DeleteApiKey", "KEY_STILL_LIVE", async () => t.admin().deleteApiKey({ keyId: (await issue()).keyId }));
  documented("DeleteApiKey", "RESERVED_SCOPE_NOT_COVERED", async () =>
    (await writer()).deleteApiKey({ keyId: (await auditor()).keyId }),
  );
  documented("DeleteApiKey", "REQUEST_ID_REUSED", async () => {
    await t.admin().deleteApiKey({ ...(await revoked()), requestId: reused });
    return t.admin().deleteApiKey({ ...(await revoked()), requestId: reused });
  });
});

describe("reasons that need a server of their own", () => {
  let own: TestApp;
  beforeAll(async () => {
    own = await startTestApp();
  });
  afterAll(() => own.close());

  documented("IssueApiKey", "TENANT_DISABLED", async () => {
    // The caller is of tenant `default`, so another tenant must be the disabled one.
    await insertTenant(own, { slug: "acme", state: "DISABLED" });
    return own.admin(undefined, { "ichor-tenant": "acme" }).issueApiKey({ name: "k" });
  });

  documented("AdminService", "INTERNAL", async () => {
    let broken = false;
    const app = await startTestApp({
      random: (size) => {
        if (broken) throw new Error("the random source is broken");
        return randomBytes(size);
      },
    });
    broken = true;
    return app.admin().issueApiKey({ name: "k" }).finally(app.close);
  });

  documented("AdminService", "STORE_UNAVAILABLE", async () => {
    await own.app.store.close();
    return own.admin().issueApiKey({ name: "k" });
  });
});

async function rootKeyId(): Promise<string> {
  const { key } = await t.admin().verifyCredential({ credential: t.rootCredential });
  return key?.id ?? "";
}
