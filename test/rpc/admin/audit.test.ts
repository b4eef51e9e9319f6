import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { AuditFaultKind } from "../../../gen/ichor/v1/audit_pb.ts";
import { readCheckpoint } from "../../../services/core/audit/checkpoint.ts";
import { auditBytes, chainHash } from "../../../services/core/change-chain.ts";
import { sha256 } from "../../../services/core/digest.ts";
import { auditEventFromProto } from "../../../services/wire/audit.ts";
import { documented } from "../../support/documented.ts";
import { insertTenant, startTestApp, type TestApp } from "../../support/test-app.ts";
import { issueKey } from "../../support/tokens.ts";

let t: TestApp;
let acme: string;
beforeAll(async () => {
  t = await startTestApp();
  acme = await insertTenant(t, { slug: "acme" });
  for (let i = 0; i < 12; i++) await issueKey(t, { name: `k${i}` }, i % 3 === 0 ? "acme" : undefined);
  await t.app.tend();
});
afterAll(() => t.close());

describe("ListAuditEvents", () => {
  it("tells who did what to what, the newest first, of the own tenant only", async () => {
    const { keyId } = await issueKey(t);
    await t.admin().revokeApiKey({ keyId, requestId: "r-1" });
    const { auditEvents } = await t.admin().listAuditEvents({ pageSize: 2 });
    expect(auditEvents).toMatchObject([
      { action: "RevokeApiKey", target: keyId, requestId: "r-1", callerKeyId: expect.stringMatching(/^key_/) },
      { action: "IssueApiKey", target: keyId, requestId: "", callerTenantId: auditEvents[0]?.tenantId },
    ]);
    const ofAcme = await t
      .admin(undefined, { "ichor-tenant": "acme" })
      .listAuditEvents({ filter: "action = IssueApiKey" });
    expect(new Set(ofAcme.auditEvents.map(({ tenantId }) => tenantId))).toEqual(new Set([acme]));
    // Who acts on another tenant stands there with its own.
    expect(ofAcme.auditEvents[0]?.callerTenantId).toBe(auditEvents[0]?.tenantId);
  });

  it.each(["revision", "revision desc"])("gives every event once, page by page, by %s", async (orderBy) => {
    const revisions: bigint[] = [];
    let pageToken = "";
    do {
      const page = await t.admin().listAuditEvents({ pageSize: 3, orderBy, pageToken, filter: "action = IssueApiKey" });
      revisions.push(...page.auditEvents.map(({ revision }) => revision));
      pageToken = page.nextPageToken;
    } while (pageToken !== "");
    const sorted = [...new Set(revisions)].sort((a, b) => Number(a - b));
    expect(revisions).toEqual(orderBy === "revision" ? sorted : sorted.reverse());
    expect(revisions.length).toBeGreaterThanOrEqual(8);
  });

  it("finds the history of a key", async () => {
    const { keyId } = await issueKey(t);
    await t.admin().disableApiKey({ keyId });
    await t.admin().enableApiKey({ keyId });
    const { auditEvents } = await t.admin().listAuditEvents({ filter: `target = "${keyId}"`, orderBy: "revision" });
    expect(auditEvents.map(({ action }) => action)).toEqual(["IssueApiKey", "DisableApiKey", "EnableApiKey"]);
  });

  it("gives links of which the chain is made, other tenants' as digests alone", async () => {
    const page = await t.admin().listAuditEvents({ withLinks: true, orderBy: "revision", pageSize: 1000 });
    const { revision } = await t.app.store.head();
    expect(page.links.map((link) => link.revision)).toEqual(
      Array.from({ length: Number(revision) }, (_, i) => BigInt(i + 1)),
    );
    expect(page.auditEvents.some(({ tenantId }) => tenantId === acme)).toBe(false);
    const events = new Map(page.auditEvents.map((event) => [event.revision, auditEventFromProto(event)]));
    expect(events.size).toBeLessThan(page.links.length);
    let hash: Uint8Array = new Uint8Array(32);
    for (const link of page.links) {
      const { revision: _, ...event } = events.get(link.revision) ?? { revision: 0n, id: "" };
      if (event.id !== "") expect(sha256(auditBytes(event as never))).toEqual(Buffer.from(link.eventDigest));
      hash = chainHash(hash, link.revision, link.changeDigest, link.eventDigest);
      expect(Buffer.from(link.hash)).toEqual(Buffer.from(hash));
    }
    const rest = await t
      .admin()
      .listAuditEvents({ withLinks: true, orderBy: "revision", filter: `revision > ${revision - 2n}` });
    expect(rest.links.map((link) => link.revision)).toEqual([revision - 1n, revision]);
    expect(rest.nextPageToken).toBe("");
  });

  documented("ListAuditEvents", "INVALID_FIELD", () => t.admin().listAuditEvents({ filter: "colour = red" }));
  it.each([
    ["filter", { filter: "action > Issue" }],
    ["filter", { filter: "revision = 3" }],
    ["filter", { filter: "revision > x" }],
    ["filter", { filter: "action = A AND action = B" }],
    ["filter", { withLinks: true, orderBy: "revision", filter: "action = A" }],
    ["order_by", { orderBy: "event_time" }],
    ["order_by", { withLinks: true, orderBy: "revision desc" }],
    ["page_size", { pageSize: 1001 }],
    ["page_token", { pageToken: "AAAA" }],
  ])("refuses a wrong %s: %j", async (field, request) => {
    await expect(t.admin().listAuditEvents(request)).rejects.toMatchObject({
      details: expect.arrayContaining([expect.anything()]),
      rawMessage: expect.stringContaining(field),
    });
  });

  it("refuses a page token of another filter or tenant", async () => {
    const { nextPageToken: pageToken } = await t.admin().listAuditEvents({ pageSize: 1 });
    await expect(t.admin().listAuditEvents({ pageToken, filter: "action = A" })).rejects.toThrow(/page_token/);
    await expect(t.admin(undefined, { "ichor-tenant": "acme" }).listAuditEvents({ pageToken })).rejects.toThrow(
      /page_token/,
    );
  });
});

describe("VerifyAuditChain", () => {
  it("says that the trail is right, and how far checkpoints bear it out", async () => {
    const answer = await t.admin().verifyAuditChain({});
    const head = await t.app.store.head();
    expect(answer.fault).toBeUndefined();
    expect(answer).toMatchObject({
      verifiedRevision: head.revision,
      headRevision: head.revision,
      storeEpoch: head.storeEpoch,
    });
    expect(answer.checkpointsCompared).toBeGreaterThanOrEqual(1);
  });

  it("says so to another tenant too, and nothing of what others did", async () => {
    const { credential } = await issueKey(t, { scopes: ["ichor:audit:read"] }, "acme");
    const answer = await t.admin(credential).verifyAuditChain({});
    expect(answer.fault).toBeUndefined();
  });

  it("names the first fault", async () => {
    const broken = await startTestApp();
    const { keyId } = await issueKey(broken);
    await broken.app.tend();
    // The adapter's own tests change rows; here another tenant's key stands for what they can't.
    const { auditEvents } = await broken.admin().listAuditEvents({ filter: `target = ${keyId}` });
    const wrong = new Uint8Array(32).fill(7);
    const revision = auditEvents[0]?.revision ?? 0n;
    const { fault } = await broken.admin().verifyAuditChain({ fromRevision: revision, previousHash: wrong });
    expect(fault).toMatchObject({ kind: AuditFaultKind.REWRITTEN, revision: revision - 1n });
    await broken.close();
  });

  documented("VerifyAuditChain", "INVALID_FIELD", () => t.admin().verifyAuditChain({ fromRevision: 1_000_000n }));
  it.each([
    ["to_revision", { toRevision: 1_000_000n }],
    ["previous_hash", { previousHash: new Uint8Array(31) }],
    ["checkpoints", { checkpoints: ["x".repeat(5000)] }],
    ["checkpoints[0]", { checkpoints: ["a.b.c"] }],
  ])("refuses a wrong %s", async (field, request) => {
    await expect(t.admin().verifyAuditChain(request)).rejects.toThrow(field);
  });
});

describe("ListAuditCheckpoints", () => {
  it("gives statements that anybody can check", async () => {
    const { auditCheckpoints } = await t.admin().listAuditCheckpoints({});
    const [first] = auditCheckpoints;
    expect(await readCheckpoint(first?.statement ?? "")).toMatchObject({
      number: 1n,
      revision: first?.revision,
      kid: first?.kid,
    });
    expect((await t.admin().listAuditCheckpoints({ afterNumber: 1n })).auditCheckpoints).toHaveLength(
      auditCheckpoints.length - 1,
    );
  });

  documented("ListAuditCheckpoints", "INVALID_FIELD", () => t.admin().listAuditCheckpoints({ afterNumber: -1n }));
});
