import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { CredentialKind, KeyStatus, RevocationReason, TokenFormat } from "../../../gen/ichor/v1/api_key_pb.ts";
import { DerivationService } from "../../../gen/ichor/v1/derivation_service_pb.ts";
import { VerificationCode } from "../../../gen/ichor/v1/verification_pb.ts";
import { documented, reasonOfRejection } from "../../support/documented.ts";
import { startTestApp, type TestApp } from "../../support/test-app.ts";

let t: TestApp;
beforeAll(async () => {
  t = await startTestApp();
});
afterAll(() => t.close());

async function issue(fields: object = {}) {
  const { apiKey, credential } = await t.admin().issueApiKey({ name: "k", ownerId: "acme", ...fields });
  return { keyId: apiKey?.id ?? "", credential };
}
/** Issues keys, each a little later than the one before. */
async function issueMany(count: number, fields: object) {
  const made: Awaited<ReturnType<typeof issue>>[] = [];
  for (let i = 0; i < count; i++) {
    t.clock.advance(1);
    made.push(await issue(fields));
  }
  return made;
}
const code = async (credential: string) => (await t.admin().verifyCredential({ credential })).code;
const writer = async () => t.admin((await issue({ scopes: ["ichor:keys:write"] })).credential);

describe("BulkRevokeApiKeys", () => {
  it("counts first, then revokes page by page, each in one revision, and only what the filter finds", async () => {
    const leaked = await issueMany(7, { labels: { leak: "1" } });
    const other = await issue({ labels: { leak: "2" } });
    await t.admin().revokeApiKey({ keyId: leaked[0]?.keyId ?? "" });
    const request = { filter: 'labels.leak = "1"', reason: RevocationReason.KEY_COMPROMISE, pageSize: 3 };
    const { revision } = await t.app.store.head();
    expect(await t.admin().bulkRevokeApiKeys({ ...request, dryRun: true })).toMatchObject({
      revokedCount: 3,
      remainingEstimate: 4,
      revision,
    });
    expect((await t.app.store.head()).revision).toBe(revision);
    const counts: number[] = [];
    let pageToken = "";
    do {
      const page = await t.admin().bulkRevokeApiKeys({ ...request, pageToken });
      counts.push(page.revokedCount);
      pageToken = page.nextPageToken;
    } while (pageToken !== "");
    // The last page holds only the one that was revoked before.
    expect(counts).toEqual([3, 3, 0]);
    expect((await t.app.store.head()).revision).toBe(revision + 2n);
    for (const { credential } of leaked) expect(await code(credential)).toBe(VerificationCode.REVOKED);
    expect(await code(other.credential)).toBe(VerificationCode.VALID);
    const { apiKey } = await t.admin().getApiKey({ keyId: leaked[3]?.keyId ?? "" });
    expect(apiKey?.revocation?.reason).toBe(RevocationReason.KEY_COMPROMISE);
    const [row] = await t.app.store.changesAfter(revision, 1);
    expect(row?.change).toMatchObject({ event: "revoked", keyIds: { length: 3 } });
  });

  it("answers a repeat under its request_id as it did first", async () => {
    await issueMany(2, { labels: { twice: "1" } });
    const request = { filter: "labels.twice = 1", requestId: "bulk" };
    const first = await t.admin().bulkRevokeApiKeys(request);
    expect(first.revokedCount).toBe(2);
    expect(await t.admin().bulkRevokeApiKeys(request)).toEqual(first);
  });

  it("erases answers that hold a credential of what it revokes", async () => {
    const request = { name: "k", labels: { erased: "1" }, requestId: "issue-1" };
    expect((await t.admin().issueApiKey(request)).credential).not.toBe("");
    await t.admin().bulkRevokeApiKeys({ filter: "labels.erased = 1" });
    expect((await t.admin().issueApiKey(request)).credential).toBe("");
  });

  it.each([
    ["no filter", {}],
    ["a filter of blanks", { filter: "  " }],
    ["a wrong filter", { filter: "x" }],
    ["a comment with control characters", { filter: "owner_id = x", comment: "\n" }],
    ["another list's token", { filter: "owner_id = x", pageToken: "AAAA" }],
  ])("refuses %s", async (_name, request) => {
    expect(await reasonOfRejection(t.admin().bulkRevokeApiKeys(request))).toBe("INVALID_FIELD");
  });

  documented("BulkRevokeApiKeys", "LAST_ROOT_CREDENTIAL", () => t.admin().bulkRevokeApiKeys({ filter: "name = root" }));
  documented("BulkRevokeApiKeys", "RESERVED_SCOPE_NOT_COVERED", async () => {
    await issue({ scopes: ["ichor:audit:read"], ownerId: "audit" });
    return (await writer()).bulkRevokeApiKeys({ filter: "owner_id = audit" });
  });
  documented("BulkRevokeApiKeys", "REQUEST_ID_REUSED", async () => {
    await issue({ ownerId: "a" });
    await t.admin().bulkRevokeApiKeys({ filter: "owner_id = a", requestId: "b" });
    return t.admin().bulkRevokeApiKeys({ filter: "owner_id = b", requestId: "b" });
  });
});

describe("LookupCredentials", () => {
  it("tells of each text what it is and whose, in order, and nothing of what isn't right", async () => {
    const { keyId, credential } = await issue();
    const raw = "legacy-credential-0001";
    const imported = await t.admin().importApiKey({ secret: { case: "raw", value: raw }, name: "k", ownerId: "old" });
    const stranger = await issue();
    // Another secret under the id of a key, with a checksum that fits nothing.
    const texts = [credential, raw, "nothing-that-is-known", `${stranger.credential.slice(0, -1)}~`, credential];
    const { results } = await t.admin().lookupCredentials({ texts });
    expect(results).toMatchObject([
      { index: 0, kind: CredentialKind.ISSUED_KEY, keyId, ownerId: "acme", status: KeyStatus.ACTIVE },
      { index: 1, kind: CredentialKind.IMPORTED_KEY, keyId: imported.apiKey?.id, ownerId: "old" },
      { index: 2, kind: CredentialKind.IMPORTED_KEY, keyId: "", status: KeyStatus.UNSPECIFIED },
      { index: 3, keyId: "" },
      { index: 4, keyId },
    ]);
  });

  it("revokes the keys that it finds, in one revision, and stays the same when repeated", async () => {
    const keys = await issueMany(3, {});
    const request = {
      texts: [...keys.map(({ credential }) => credential), "unknown-text"],
      revoke: true,
      reason: RevocationReason.KEY_COMPROMISE,
      requestId: "leak-1",
    };
    const { revision: before } = await t.app.store.head();
    const first = await t.admin().lookupCredentials(request);
    expect(first.results.map(({ status }) => status)).toEqual([...keys.map(() => KeyStatus.REVOKED), 0]);
    expect(first.revision).toBe(before + 1n);
    for (const { credential } of keys) expect(await code(credential)).toBe(VerificationCode.REVOKED);
    expect(await t.admin().lookupCredentials(request)).toEqual(first);
    const again = await t.admin().lookupCredentials({ ...request, requestId: "" });
    expect(again.revision).toBe(first.revision);
  });

  it("names the key of a derived token, and doesn't revoke it", async () => {
    const { keyId, credential } = await issue({ scopes: ["a"] });
    const { token } = await t
      .client(DerivationService, credential)
      .deriveToken({ format: TokenFormat.JWT, audiences: ["https://api.example"] });
    const { results } = await t.admin().lookupCredentials({ texts: [token], revoke: true });
    expect(results[0]).toMatchObject({ kind: CredentialKind.JWT, keyId, status: KeyStatus.ACTIVE });
  });

  it.each([
    ["no text", { texts: [] }],
    ["an empty text", { texts: [""] }],
    ["more than 1000", { texts: Array(1001).fill("x") }],
  ])("refuses %s", async (_name, request) => {
    expect(await reasonOfRejection(t.admin().lookupCredentials(request))).toBe("INVALID_FIELD");
  });

  documented("LookupCredentials", "LAST_ROOT_CREDENTIAL", () =>
    t.admin().lookupCredentials({ texts: [t.rootCredential], revoke: true }),
  );
  documented("LookupCredentials", "RESERVED_SCOPE_NOT_COVERED", async () => {
    const { credential } = await issue({ scopes: ["ichor:audit:read"] });
    return (await writer()).lookupCredentials({ texts: [credential], revoke: true });
  });
  documented("LookupCredentials", "REQUEST_ID_REUSED", async () => {
    const [one, two] = await issueMany(2, {});
    await t.admin().lookupCredentials({ texts: [one?.credential ?? ""], revoke: true, requestId: "l" });
    return t.admin().lookupCredentials({ texts: [two?.credential ?? ""], revoke: true, requestId: "l" });
  });
});
