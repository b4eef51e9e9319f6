import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { KeyStatus, Visibility } from "../../../gen/ichor/v1/api_key_pb.ts";
import { SelfService } from "../../../gen/ichor/v1/self_service_pb.ts";
import { reasonOfRejection } from "../../support/documented.ts";
import { startTestApp, type TestApp } from "../../support/test-app.ts";
import { derive, issueKey } from "../../support/tokens.ts";

let t: TestApp;
beforeAll(async () => {
  t = await startTestApp();
});
afterAll(() => t.close());

const self = (credential: string) => t.client(SelfService, credential);
const minutes = (count: number) => ({ seconds: BigInt(60 * count) });

describe("GetSelf", () => {
  it("tells a holder its key, what it may do, and which secret it presented", async () => {
    const constraints = { scopes: ["invoices:read"], audiences: ["elsewhere"] };
    const { keyId, credential } = await issueKey(t, { constraints });
    const { credential: fresh } = await self(credential).rotateSelf({});
    const told = await self(credential).getSelf({});
    expect(told).toMatchObject({ secretVersionId: "1", scopes: ["invoices:read"] });
    expect(told.apiKey).toMatchObject({ id: keyId, status: KeyStatus.ACTIVE });
    expect((await self(fresh).getSelf({})).secretVersionId).toBe("2");
  });

  it("is all that a public key can call here", async () => {
    const { credential } = await issueKey(t, { visibility: Visibility.PUBLIC });
    expect((await self(credential).getSelf({})).secretVersionId).toBe("1");
    for (const call of [
      self(credential).rotateSelf({}),
      self(credential).revokeSelf({}),
      self(credential).revokeToken({ target: { case: "tokenId", value: "tok_0000000000000000000000000a" } }),
    ]) {
      expect(await reasonOfRejection(call)).toBe("CREDENTIAL_KIND_NOT_ALLOWED");
    }
  });

  it("is of the caller's own tenant", async () => {
    await t.admin().createTenant({ slug: "acme", name: "Acme" });
    const call = t.client(SelfService, undefined, { "ichor-tenant": "acme" }).getSelf({});
    expect(await reasonOfRejection(call)).toBe("TENANT_NOT_ALLOWED");
  });
});

describe("RotateSelf", () => {
  it("keeps the old secret for the grace, which is 5 minutes at least", async () => {
    const { credential } = await issueKey(t);
    expect(await reasonOfRejection(self(credential).rotateSelf({ gracePeriod: minutes(4) }))).toBe("INVALID_FIELD");
    const { credential: fresh } = await self(credential).rotateSelf({ gracePeriod: minutes(5) });
    await self(credential).getSelf({});
    t.clock.advance(5 * 60_000);
    expect(await reasonOfRejection(self(credential).getSelf({}))).toBe("CREDENTIAL_REFUSED");
    await self(fresh).getSelf({});
  });

  it("tells the superseded secret the same again under its own request_id, and nothing under another's", async () => {
    const { credential: first } = await issueKey(t);
    const { credential: second } = await self(first).rotateSelf({ requestId: "r" });
    expect((await self(first).rotateSelf({ requestId: "r" })).credential).toBe(second);
    const { credential: third } = await self(second).rotateSelf({ requestId: "r" });
    expect(third).not.toBe(second);
    // The answer that held the second secret is erased: it isn't the newest any more.
    expect((await self(first).rotateSelf({ requestId: "r" })).credential).toBe("");
    await self(second)
      .rotateSelf({ requestId: "r" })
      .then(({ credential }) => expect(credential).toBe(third));
    expect(await reasonOfRejection(self(first).rotateSelf({ requestId: "s" }))).toBe("SECRET_SUPERSEDED");
  });

  it("works for a key that holds reserved scopes, and for one whose constraints keep it from the rest of Ichor", async () => {
    const { credential } = await issueKey(t, {
      scopes: ["ichor:keys:read"],
      constraints: { audiences: ["elsewhere"] },
    });
    const { apiKey } = await self(credential).rotateSelf({});
    expect(apiKey?.secretVersions).toHaveLength(2);
    expect(await reasonOfRejection(t.admin(credential).getApiKey({ keyId: apiKey?.id ?? "" }))).toBe(
      "CREDENTIAL_REFUSED",
    );
  });
});

describe("RevokeSelf", () => {
  it("ends the key, also by a superseded secret", async () => {
    const { credential } = await issueKey(t);
    const { credential: fresh } = await self(credential).rotateSelf({});
    const { apiKey } = await self(credential).revokeSelf({ comment: "found in a log" });
    expect(apiKey).toMatchObject({ status: KeyStatus.REVOKED, revocation: { comment: "found in a log" } });
    expect(await reasonOfRejection(self(fresh).getSelf({}))).toBe("CREDENTIAL_REFUSED");
  });
});

describe("RevokeToken", () => {
  it("ends one's own token, and again is OK", async () => {
    const { credential } = await issueKey(t);
    const { token, tokenId } = await derive(t, credential);
    const { revision } = await self(credential).revokeToken({ target: { case: "token", value: token } });
    expect(revision).toBeGreaterThan(0n);
    await self(credential).revokeToken({ target: { case: "tokenId", value: tokenId } });
  });
});
