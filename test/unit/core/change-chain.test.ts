import { describe, expect, it } from "vitest";
import type { ApiKey } from "../../../services/core/api-key.ts";
import type { AuditEvent } from "../../../services/core/audit-event.ts";
import { type CanonicalValue, canonicalJson } from "../../../services/core/canonical-json.ts";
import type { Change } from "../../../services/core/change.ts";
import {
  auditBytes,
  chainHash,
  changeBytes,
  decodeChange,
  genesisHash,
  keyDigest,
} from "../../../services/core/change-chain.ts";
import { sha256 } from "../../../services/core/digest.ts";
import {
  madeMs,
  otherKeyId,
  otherTenantId,
  someEventId,
  someKey,
  someKeyId,
  someTenantId,
  someVersion,
} from "./some-key.ts";

describe("canonicalJson", () => {
  it.each<[CanonicalValue, string]>([
    [{ b: 1, a: [true, null, "x"] }, '{"a":[true,null,"x"],"b":1}'],
    [{ a: { d: 1, c: undefined, b: 2 } }, '{"a":{"b":2,"d":1}}'],
    [
      { "\u20ac": 1, "\r": 2, "1": 3, "\u{1f600}": 4, "\u0080": 5, "\u00f6": 6, "\ufb33": 7 },
      '{"\\r":2,"1":3,"\u0080":5,"\u00f6":6,"\u20ac":1,"\u{1f600}":4,"\ufb33":7}',
    ],
    [[333333333.3333333, 1e30, 4.5, 2e-3, 1e-27, -0], "[333333333.3333333,1e+30,4.5,0.002,1e-27,0]"],
    ['\u20ac$\u000f\nA\'B"\\\\"/', '"\u20ac$\\u000f\\nA\'B\\"\\\\\\\\\\"/"'],
    [{}, "{}"],
  ])("writes %j as RFC 8785 does", (value, text) => {
    expect(canonicalJson(value)).toBe(text);
  });

  it("treats a member named __proto__ like any other", () => {
    expect(canonicalJson(JSON.parse('{"b":1,"__proto__":2}') as CanonicalValue)).toBe('{"__proto__":2,"b":1}');
  });

  it.each([Number.NaN, Number.POSITIVE_INFINITY])("throws TypeError for %d", (value) => {
    expect(() => canonicalJson({ a: [value] })).toThrow(TypeError);
  });
});

describe("chainHash", () => {
  const [a, b] = [sha256("a"), sha256("b")];
  const hash = chainHash(genesisHash, 1n, a, b);

  it.each([
    ["previous hash", chainHash(a, 1n, a, b)],
    ["revision", chainHash(genesisHash, 2n, a, b)],
    ["high half of the revision", chainHash(genesisHash, 1n + 2n ** 32n, a, b)],
    ["change", chainHash(genesisHash, 1n, b, b)],
    ["audit event", chainHash(genesisHash, 1n, a, a)],
    ["order of the two", chainHash(genesisHash, 1n, b, a)],
  ])("is another for another %s", (_, other) => {
    expect(other).toHaveLength(32);
    expect(other).not.toEqual(hash);
  });

  it("takes digests of 32 bytes only, so that no two inputs share a message", () => {
    expect(() => chainHash(new Uint8Array(31), 1n, a, b)).toThrow(TypeError);
    expect(() => chainHash(genesisHash, 1n, new Uint8Array(33), b)).toThrow(TypeError);
    expect(() => chainHash(genesisHash, 1n, a, new Uint8Array(0))).toThrow(TypeError);
    expect(() => chainHash(genesisHash, -1n, a, b)).toThrow(RangeError);
  });
});

describe("changes", () => {
  const tenantId = someTenantId;
  const keyIds = [someKeyId, otherKeyId];

  it.each<Change>([
    { kind: "key", tenantId, event: "issued", keyIds: [someKeyId] },
    { kind: "key", tenantId, event: "grace_ended", keyIds },
    { kind: "key", tenantId, event: "deleted", keyIds: [] },
    { kind: "tenant", tenantId, event: "disabled" },
    { kind: "secret", event: "pepper_added" },
  ])("survive being written and read: $kind $event", (change) => {
    expect(decodeChange(changeBytes(change))).toEqual(change);
  });

  it.each([
    "",
    "null",
    "[]",
    "{",
    "{}",
    `{"kind":"key","event":"issued","tenantId":"${tenantId}"}`,
    `{"kind":"key","event":"exploded","tenantId":"${tenantId}","keyIds":[]}`,
    `{"kind":"key","event":"toString","tenantId":"${tenantId}","keyIds":[]}`,
    `{"kind":"key","event":"issued","tenantId":"${someKeyId}","keyIds":[]}`,
    `{"kind":"key","event":"issued","tenantId":"${tenantId}","keyIds":["${tenantId}"]}`,
    `{"kind":"key","event":"issued","tenantId":"${tenantId}","keyIds":[1]}`,
    `{"kind":"tenant","event":"issued","tenantId":"${tenantId}"}`,
    '{"kind":"secret","event":"created"}',
    '{"kind":"other","event":"issued"}',
  ])("are never guessed at: %s", (text) => {
    expect(() => decodeChange(Buffer.from(text))).toThrow();
  });
});

describe("auditBytes", () => {
  const event: AuditEvent = {
    id: someEventId,
    timeMs: madeMs,
    tenantId: someTenantId,
    action: "RotateApiKey",
    target: someKeyId,
    caller: { keyId: otherKeyId, tenantId: otherTenantId },
    address: "192.0.2.1",
    requestId: "r-1",
    beforeDigest: sha256("before"),
    afterDigest: sha256("after"),
  };
  const { caller: _, ...byServer } = event;

  it.each<[string, AuditEvent]>([
    ["id", { ...event, id: someEventId.replace(/.$/, "0") as AuditEvent["id"] }],
    ["time", { ...event, timeMs: madeMs + 1 }],
    ["tenant", { ...event, tenantId: otherTenantId }],
    ["action", { ...event, action: "RevokeApiKey" }],
    ["target", { ...event, target: otherKeyId }],
    ["caller", byServer],
    ["address", { ...event, address: "" }],
    ["request id", { ...event, requestId: "" }],
    ["state before", { ...event, beforeDigest: sha256("x") }],
    ["state after", { ...event, afterDigest: sha256("x") }],
  ])("show another %s", (_, other) => {
    expect(auditBytes(other)).not.toEqual(auditBytes(event));
  });

  it("don't depend on the order of members or the kind of byte array", () => {
    const { afterDigest, ...rest } = event;
    const reordered = { afterDigest: new Uint8Array(afterDigest as Uint8Array), ...rest } as AuditEvent;
    expect(auditBytes(reordered)).toEqual(auditBytes(event));
  });
});

describe("keyDigest", () => {
  const full = someKey({
    metadata: { team: "x", nested: { list: [1, "2", null] } },
    labels: { env: "prod" },
    expireTimeMs: madeMs + 1,
    constraints: { audiences: ["api"], contextEquals: { env: "prod" } },
    revocation: { reason: "SUPERSEDED", comment: "", timeMs: madeMs },
  });
  const digest = keyDigest(full);

  it.each<[string, Partial<ApiKey>]>([
    ["name", { name: "other" }],
    ["scopes", { scopes: [] }],
    ["metadata", { metadata: { team: "y" } }],
    ["labels", { labels: {} }],
    ["state", { state: "DISABLED" }],
    ["expiry", { expireTimeMs: madeMs + 2 }],
    ["networks", { allowedCidrs: ["10.0.0.0/8"] }],
    ["constraints", { constraints: { audiences: [] } }],
    ["token epoch", { tokenEpoch: 1 }],
    ["revocation", { revocation: { reason: "SUPERSEDED", comment: "x", timeMs: madeMs } }],
    ["grace of a secret", { secretVersions: [someVersion({ graceEndTimeMs: madeMs })] }],
    ["number of secrets", { secretVersions: [someVersion({ number: 2 }), someVersion()] }],
  ])("is another for another %s", (_, changes) => {
    expect(keyDigest({ ...full, ...changes })).not.toEqual(digest);
  });

  it("doesn't depend on the secret, its pepper or the revision", () => {
    const rebound = [someVersion({ digest: new Uint8Array(32).fill(1), pepperId: "pepper-2" })];
    expect(keyDigest({ ...full, secretVersions: rebound, revision: 8n })).toEqual(digest);
  });
});
