import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { TokenFormat } from "../../../gen/ichor/v1/api_key_pb.ts";
import { SelfService } from "../../../gen/ichor/v1/self_service_pb.ts";
import { SigningKeyState } from "../../../gen/ichor/v1/signing_key_pb.ts";
import type { ApiKey } from "../../../services/core/api-key.ts";
import type { KeyId } from "../../../services/core/ids.ts";
import { startTestApp, type TestApp } from "../../support/test-app.ts";
import { codeOf, derive, issueKey, type TestKey, testAudience } from "../../support/tokens.ts";

let t: TestApp;
beforeAll(async () => {
  t = await startTestApp();
});
afterAll(() => t.close());

const minutes = (count: number) => ({ seconds: BigInt(60 * count) });

/** Narrows a key as UpdateApiKey would that keeps its derived tokens. */
async function narrow(keyId: string, change: Partial<ApiKey>): Promise<void> {
  await t.app.store.mutate(async (tx, revision) => {
    const key = (await tx.getKey(keyId as KeyId)) as ApiKey;
    await tx.updateKey({ ...key, ...change, revision });
    const { tenantId, id } = key;
    const audit = { tenantId, action: "Test", target: id, address: "", requestId: "" };
    return { result: undefined, change: { kind: "key", tenantId, event: "changed", keyIds: [id] }, audit };
  });
}

/** What ends a token, and with which code; `token` is one of the key. */
type Ending = (key: TestKey, token: string, tokenId: string) => Promise<unknown>;
const endings: readonly [string, string, Ending][] = [
  ["the key is revoked", "REVOKED", ({ keyId }) => t.admin().revokeApiKey({ keyId })],
  ["the key is disabled", "DISABLED", ({ keyId }) => t.admin().disableApiKey({ keyId })],
  [
    "the key is revoked and deleted",
    "REVOKED",
    async ({ keyId }) => {
      await t.admin().revokeApiKey({ keyId });
      await t.admin().deleteApiKey({ keyId });
    },
  ],
  ["the key's epoch is raised", "REVOKED", ({ keyId }) => revoke({ case: "keyId", value: keyId })],
  ["it is revoked by itself", "REVOKED", (_key, token) => revoke({ case: "token", value: token })],
  [
    "it is revoked by its ids",
    "REVOKED",
    ({ keyId }, _token, tokenId) => revoke({ case: "tokenRef", value: { keyId, tokenId } }),
  ],
  [
    "its holder revokes it",
    "REVOKED",
    ({ credential }, token) =>
      t.client(SelfService, credential).revokeToken({ target: { case: "token", value: token } }),
  ],
  ["its holder revokes the key", "REVOKED", ({ credential }) => t.client(SelfService, credential).revokeSelf({})],
  [
    "the key is rotated without grace",
    "REVOKED",
    ({ keyId }) => t.admin().rotateApiKey({ keyId, gracePeriod: minutes(0) }),
  ],
  [
    "the grace of its secret ends by time",
    "REVOKED",
    async ({ keyId }) => {
      t.clock.advance(1);
      await t.admin().rotateApiKey({ keyId, gracePeriod: minutes(5) });
      t.clock.advance(5 * 60_000);
    },
  ],
  [
    "the grace of its secret is ended",
    "REVOKED",
    async ({ keyId }) => {
      await t.admin().rotateApiKey({ keyId });
      await t.admin().endGracePeriod({ keyId });
    },
  ],
  [
    "the scope of the key is narrowed to none of its own",
    "INSUFFICIENT_SCOPE",
    ({ keyId }) => narrow(keyId, { scopes: [] }),
  ],
  [
    "the key is narrowed to another audience",
    "AUDIENCE_MISMATCH",
    ({ keyId }) => narrow(keyId, { constraints: { audiences: ["x"] } }),
  ],
  [
    "the key is narrowed to a network",
    "IP_NOT_ALLOWED",
    ({ keyId }) => narrow(keyId, { allowedCidrs: ["10.0.0.0/8"] }),
  ],
  ["the key ends", "EXPIRED", ({ keyId }) => narrow(keyId, { expireTimeMs: t.clock.now() })],
  [
    "its time is over",
    "EXPIRED",
    async () => {
      t.clock.advance(60 * 60_000);
    },
  ],
  [
    "all that the tenant issued before are ended",
    "REVOKED",
    async () => {
      await revoke({ case: "issuedBefore", value: timestampFromMs(t.clock.now()) });
      t.clock.advance(1000);
    },
  ],
];

type Target = NonNullable<Parameters<ReturnType<TestApp["admin"]>["revokeToken"]>[0]["target"]>;
const revoke = (target: Target) => t.admin().revokeToken({ target });

describe.each([
  ["JWT", TokenFormat.JWT],
  ["macaroon", TokenFormat.MACAROON],
])("a derived %s is refused at once when", (_name, format) => {
  it.each(endings)("%s: %s", async (_when, expected, end) => {
    t.clock.advance(1001);
    const key = await issueKey(t);
    const request = { format, scopes: ["invoices:read"], ttl: minutes(60) };
    const { token, tokenId } = await derive(t, key.credential, request);
    const code = () => (expected === "INSUFFICIENT_SCOPE" ? codeWithScope(token) : codeOf(t, token));
    expect(await code()).toBe("VALID");
    await end(key, token, tokenId);
    expect(await code()).toBe(expected);
  });
});

async function codeWithScope(credential: string): Promise<string> {
  const { valid, key } = await t
    .admin()
    .verifyCredential({ credential, audience: testAudience, requiredScopes: ["invoices:read"] });
  return valid ? "VALID" : key?.scopes.length === 0 ? "INSUFFICIENT_SCOPE" : "?";
}

describe("a new token", () => {
  it("verifies after all before were ended, in every way", async () => {
    const { keyId, credential } = await issueKey(t);
    await revoke({ case: "keyId", value: keyId });
    expect(await codeOf(t, (await derive(t, credential)).token)).toBe("VALID");
    await revoke({ case: "issuedBefore", value: timestampFromMs(t.clock.now()) });
    t.clock.advance(1000);
    expect(await codeOf(t, (await derive(t, credential)).token)).toBe("VALID");
  });

  it("outlives the grace of another secret", async () => {
    const { keyId, credential } = await issueKey(t);
    t.clock.advance(1);
    const rotated = await t.admin().rotateApiKey({ keyId, gracePeriod: minutes(5) });
    t.clock.advance(1);
    const [old, fresh] = [await derive(t, credential), await derive(t, rotated.credential)];
    t.clock.advance(5 * 60_000);
    expect(await codeOf(t, old.token)).toBe("EXPIRED");
    expect(await codeOf(t, fresh.token)).toBe("VALID");
  });
});

describe("a revoked token", () => {
  it("is remembered for longer than any token lives, and then forgotten", async () => {
    const { keyId, credential } = await issueKey(t);
    const { tokenId } = await derive(t, credential);
    await revoke({ case: "tokenRef", value: { keyId, tokenId } });
    const tenantId = (await t.app.store.getKey(keyId as KeyId))?.tenantId ?? ("" as never);
    const remembered = () => t.app.store.tokens.listTokenRevocations(tenantId, t.clock.now());
    expect((await remembered()).some((one) => one.tokenId === tokenId)).toBe(true);
    t.clock.advance(24 * 3_600_000);
    expect((await remembered()).some((one) => one.tokenId === tokenId)).toBe(true);
    t.clock.advance(15 * 60_000);
    expect((await remembered()).some((one) => one.tokenId === tokenId)).toBe(false);
  });
});

describe("signing keys", () => {
  it("verify what they signed after a rotation, and at once no longer when compromised", async () => {
    const { credential } = await issueKey(t);
    const old = await derive(t, credential, { ttl: minutes(60) });
    const { signingKey: active } = await t.admin().rotateSigningKey({ force: true });
    const fresh = await derive(t, credential, { ttl: minutes(60) });
    expect([await codeOf(t, old.token), await codeOf(t, fresh.token)]).toEqual(["VALID", "VALID"]);
    await t.admin().revokeSigningKey({ signingKeyId: active?.id ?? "" });
    const after = await derive(t, credential, { ttl: minutes(60) });
    expect(await codeOf(t, old.token)).toBe("VALID");
    expect(await codeOf(t, fresh.token)).toBe("SIGNATURE_INVALID");
    expect(await codeOf(t, after.token)).toBe("VALID");
    const { signingKeys } = await t.admin().listSigningKeys({});
    const states = signingKeys.map(({ state }) => state);
    expect(states.filter((state) => state === SigningKeyState.ACTIVE)).toHaveLength(1);
    expect(states.filter((state) => state === SigningKeyState.NEXT)).toHaveLength(1);
  });
});

describe("audience keys", () => {
  it("verify what they signed after a rotation, unless that ends them", async () => {
    const { credential } = await issueKey(t);
    const request = { format: TokenFormat.MACAROON, ttl: minutes(24 * 60) };
    const first = await derive(t, credential, request);
    expect((await t.admin().rotateAudienceKey({ audience: testAudience })).generation).toBe(2n);
    const second = await derive(t, credential, request);
    expect([await codeOf(t, first.token), await codeOf(t, second.token)]).toEqual(["VALID", "VALID"]);
    await t.admin().rotateAudienceKey({ audience: testAudience, revokePrevious: true });
    const third = await derive(t, credential, request);
    for (const ended of [first, second]) expect(await codeOf(t, ended.token)).toBe("SIGNATURE_INVALID");
    expect(await codeOf(t, third.token)).toBe("VALID");
  });
});
