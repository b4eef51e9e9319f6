import type { ApiKey, SecretVersion } from "../../services/core/api-key.ts";
import type { AuditEvent } from "../../services/core/audit-event.ts";
import type { Change } from "../../services/core/change.ts";
import { type KeyId, newId, type TenantId, type TokenId } from "../../services/core/ids.ts";
import type { SigningKey } from "../../services/core/signing-key.ts";
import { defaultTenantSettings, type Tenant } from "../../services/core/tenant.ts";
import type { Mutation, StoreTransaction } from "../../services/store/port.ts";
import { seededRandom } from "../fakes/random.ts";

export const sampleTimeMs = Date.UTC(2026, 0, 1);

const random = seededRandom("samples");

export const newTenantId = (): TenantId => newId("ten", sampleTimeMs, random(10));
export const newKeyId = (): KeyId => newId("key", sampleTimeMs, random(10));
export const newTokenId = (): TokenId => newId("tok", sampleTimeMs, random(10));

/** A tenant; slug and everything else as told. */
export function sampleTenant(changes: Partial<Tenant> = {}): Tenant {
  return {
    id: newTenantId(),
    slug: "default",
    name: "Default",
    state: "ACTIVE",
    settings: defaultTenantSettings,
    createTimeMs: sampleTimeMs,
    updateTimeMs: sampleTimeMs,
    ...changes,
  };
}

export function sampleVersion(number: number, changes: Partial<SecretVersion> = {}): SecretVersion {
  return { number, digest: random(32), pepperId: "pep_1", createTimeMs: sampleTimeMs, ...changes };
}

/** A key with the fewest fields. */
export function sampleKey(tenantId: TenantId, changes: Partial<ApiKey> = {}): ApiKey {
  return {
    id: newKeyId(),
    tenantId,
    name: "ci",
    ownerId: "",
    scopes: [],
    labels: {},
    state: "ACTIVE",
    visibility: "SECRET",
    kind: "ISSUED_KEY",
    prefix: "ichor_sk",
    createTimeMs: sampleTimeMs,
    updateTimeMs: sampleTimeMs,
    allowedCidrs: [],
    constraints: {},
    tokenEpoch: 0,
    secretVersions: [sampleVersion(1)],
    revision: 1n,
    ...changes,
  };
}

/** A key with every field set to something that is easily spoilt on its way. */
export function fullKey(tenantId: TenantId): ApiKey {
  return sampleKey(tenantId, {
    name: "größte Schlüssel 🔑 'quoted' \\ %",
    ownerId: "acme/ops",
    scopes: ["invoices:*", "a:b:c"],
    metadata: { z: 1, a: [null, true, 0.1, "\u2028", { nested: "ü" }] },
    labels: { env: "prod", "team.name": "ops 🚀" },
    state: "REVOKED",
    visibility: "PUBLIC",
    kind: "IMPORTED_KEY",
    prefix: "",
    expireTimeMs: 253_402_300_799_999,
    allowedCidrs: ["10.0.0.0/8", "2001:db8::/32"],
    constraints: { notBeforeMs: 0, audiences: [], scopes: ["x"], contextEquals: { region: "eu" } },
    tokenEpoch: 7,
    rateLimits: [{ name: "api", limit: 10, periodMs: 60_000, burst: 1_000_000_000, strict: true }],
    derivePolicy: { enabled: true, formats: ["JWT"], maxTtlSeconds: 60, audiences: ["a"], customClaims: ["team"] },
    revocation: { reason: "KEY_COMPROMISE", comment: "leaked", timeMs: sampleTimeMs + 5 },
    secretVersions: [sampleVersion(3), sampleVersion(2, { graceEndTimeMs: sampleTimeMs + 1 })],
    revision: 9_007_199_254_740_991n,
  });
}

/** A signing key with the fewest fields. */
export function sampleSigningKey(tenantId: TenantId, changes: Partial<SigningKey> = {}): SigningKey {
  return {
    id: newId("sig", sampleTimeMs, random(10)),
    tenantId,
    kid: Buffer.from(random(32)).toString("base64url"),
    algorithm: "EdDSA",
    state: "NEXT",
    publicJwk: { kty: "OKP", crv: "Ed25519", x: "eA", alg: "EdDSA" },
    createTimeMs: sampleTimeMs,
    ...changes,
  };
}

type Audit = Omit<AuditEvent, "id" | "timeMs">;

export function sampleAudit(tenantId: TenantId, changes: Partial<Audit> = {}): Audit {
  return { tenantId, action: "IssueApiKey", target: tenantId, address: "", requestId: "", ...changes };
}

export const issued = (tenantId: TenantId, ...keyIds: KeyId[]): Change => ({
  kind: "key",
  tenantId,
  event: "issued",
  keyIds,
});

/** How a mutation ends that did something to a key. */
export function changed<T>(result: T, tenantId: TenantId, ...keyIds: KeyId[]): Mutation<T> {
  return {
    result,
    change: issued(tenantId, ...keyIds),
    audit: sampleAudit(tenantId, { target: keyIds[0] ?? tenantId }),
  };
}

/** Work that inserts these keys. */
export function inserting(...keys: ApiKey[]) {
  return async (tx: StoreTransaction): Promise<Mutation<undefined>> => {
    await tx.insertKeys(keys);
    return changed(undefined, keys[0]?.tenantId as TenantId, ...keys.map(({ id }) => id));
  };
}
