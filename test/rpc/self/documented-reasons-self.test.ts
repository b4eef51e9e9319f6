import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, describe } from "vitest";
import { Visibility } from "../../../gen/ichor/v1/api_key_pb.ts";
import { SelfService } from "../../../gen/ichor/v1/self_service_pb.ts";
import { type KeyId, newId, type TenantId } from "../../../services/core/ids.ts";
import { documented } from "../../support/documented.ts";
import { startTestApp, type TestApp } from "../../support/test-app.ts";
import { derive, issueKey } from "../../support/tokens.ts";

let t: TestApp;
beforeAll(async () => {
  t = await startTestApp();
});
afterAll(() => t.close());

const self = (credential: string) => t.client(SelfService, credential);
const tokenOf = async () => (await derive(t, (await issueKey(t)).credential)).token;
const publicKey = async () => (await issueKey(t, { visibility: Visibility.PUBLIC })).credential;
const someToken = { target: { case: "tokenId" as const, value: newId("tok", 0, new Uint8Array(10)) } };
const otherToken = { target: { case: "tokenId" as const, value: newId("tok", 1, new Uint8Array(10)) } };

describe("GetSelf", () => {
  documented("GetSelf", "CREDENTIAL_MISSING", () => t.client(SelfService, "", { authorization: "" }).getSelf({}));
  documented("GetSelf", "CREDENTIAL_REFUSED", () => self("ichor_sk_nonsense").getSelf({}));
  documented("GetSelf", "CREDENTIAL_KIND_NOT_ALLOWED", async () => self(await tokenOf()).getSelf({}));
});

describe("RotateSelf", () => {
  documented("RotateSelf", "SECRET_SUPERSEDED", async () => {
    const { credential } = await issueKey(t);
    await self(credential).rotateSelf({});
    return self(credential).rotateSelf({});
  });
  documented("RotateSelf", "SELF_ROTATION_NOT_ALLOWED", async () => {
    await t.admin().createTenant({ slug: "strict", name: "Strict", settings: { selfRotationAllowed: false } });
    return self((await issueKey(t, {}, "strict")).credential).rotateSelf({});
  });
  documented("RotateSelf", "CREDENTIAL_KIND_NOT_ALLOWED", async () => self(await publicKey()).rotateSelf({}));
  documented("RotateSelf", "KEY_KIND_NOT_ALLOWED", async () => {
    const raw = "a key that another system made";
    await t.admin().importApiKey({ secret: { case: "raw", value: raw }, name: "imported" });
    return self(raw).rotateSelf({});
  });
  documented("RotateSelf", "TOO_MANY_SECRET_VERSIONS", async () => {
    let { credential } = await issueKey(t);
    for (let i = 1; i < 10; i++) credential = (await self(credential).rotateSelf({})).credential;
    return self(credential).rotateSelf({});
  });
  documented("RotateSelf", "REQUEST_ID_REUSED", async () => {
    const { credential } = await issueKey(t);
    await self(credential).rotateSelf({ requestId: "r" });
    return self(credential).rotateSelf({ requestId: "r", gracePeriod: { seconds: 300n } });
  });
});

describe("RevokeSelf", () => {
  documented("RevokeSelf", "CREDENTIAL_KIND_NOT_ALLOWED", async () => self(await publicKey()).revokeSelf({}));
  documented("RevokeSelf", "LAST_ROOT_CREDENTIAL", () => self(t.rootCredential).revokeSelf({}));
});

describe("RevokeToken of one's own", () => {
  documented("RevokeToken", "SECRET_SUPERSEDED", async () => {
    const { credential } = await issueKey(t);
    await self(credential).rotateSelf({});
    return self(credential).revokeToken(someToken);
  });
  documented("RevokeToken", "CREDENTIAL_KIND_NOT_ALLOWED", async () => self(await publicKey()).revokeToken(someToken));
  documented("RevokeToken", "INVALID_FIELD", async () => {
    const token = await tokenOf();
    return self((await issueKey(t)).credential).revokeToken({ target: { case: "token", value: token } });
  });
  documented("RevokeToken", "TOO_MANY_TOKEN_REVOCATIONS", async () => {
    const { keyId, credential } = await issueKey(t);
    await t.app.store.mutate(async (tx) => {
      const id = keyId as KeyId;
      const tenantId = (await tx.getKey(id))?.tenantId as TenantId;
      const tokens = Array.from({ length: 1000 }, () => ({
        keyId: id,
        tokenId: newId("tok", 0, randomBytes(10)),
        forgetTimeMs: t.clock.now() + 1,
      }));
      for (const token of tokens) await tx.tokens.insertTokenRevocation(tenantId, token);
      const audit = { tenantId, action: "Test", target: id, address: "", requestId: "" };
      return { result: undefined, change: { kind: "token", tenantId, event: "revoked", tokens }, audit };
    });
    return self(credential).revokeToken(someToken);
  });
  documented("RevokeToken", "REQUEST_ID_REUSED", async () => {
    const { credential } = await issueKey(t);
    await self(credential).revokeToken({ ...someToken, requestId: "r" });
    return self(credential).revokeToken({ ...otherToken, requestId: "r" });
  });
});
