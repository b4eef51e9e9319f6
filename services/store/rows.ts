import type { ApiKey, KeyKind, KeyState, RevocationReason, SecretVersion, Use, Visibility } from "../core/api-key.ts";
import type { ChangeRow } from "../core/change.ts";
import { decodeChange } from "../core/change-chain.ts";
import type { KeyId, TenantId } from "../core/ids.ts";
import { answerLifetimeMs, recordLifetimeMs } from "../core/repeat-lifetimes.ts";
import { defaultTenantSettings, type Tenant, type TenantState } from "../core/tenant.ts";
import type { IdempotencyRecord, SealedSecret } from "./port.ts";

/** An integer column: a bigint from Prisma, a number from the driver. */
type Int = number | bigint;

/** A row of `api_key`, by its column's names in the models. */
export interface KeyRow {
  readonly id: string;
  readonly tenantId: string;
  readonly name: string;
  readonly ownerId: string;
  readonly scopes: string;
  readonly metadata: string | null;
  readonly labels: string;
  readonly state: string;
  readonly visibility: string;
  readonly kind: string;
  readonly prefix: string;
  readonly createTimeMs: Int;
  readonly updateTimeMs: Int;
  readonly expireTimeMs: Int | null;
  readonly allowedCidrs: string;
  readonly constraints: string;
  readonly tokenEpoch: Int;
  readonly rateLimits: string | null;
  readonly derivePolicy: string | null;
  readonly revocationReason: string | null;
  readonly revocationComment: string | null;
  readonly revocationTimeMs: Int | null;
  readonly revision: Int;
  readonly lastUsedTimeMs: Int;
  readonly lastUsedAddress: string;
  readonly useCount: Int;
}

interface SecretVersionRow {
  readonly number: Int;
  readonly digest: Uint8Array;
  readonly pepperId: string;
  readonly createTimeMs: Int;
  readonly graceEndTimeMs: Int | null;
  readonly lastUsedTimeMs: Int;
  readonly useCount: Int;
}

/** A row of a key joined with one of its versions. */
export interface KeyWithVersionRow extends KeyRow {
  readonly versionNumber: Int;
  readonly versionDigest: Uint8Array;
  readonly versionPepperId: string;
  readonly versionCreateTimeMs: Int;
  readonly versionGraceEndTimeMs: Int | null;
  readonly versionLastUsedTimeMs: Int;
  readonly versionUseCount: Int;
}

/** Gives the key of such rows, one per version, newest first; undefined if there are none. */
export function keyOfRows(rows: readonly KeyWithVersionRow[]): ApiKey | undefined {
  const [row] = rows;
  if (row === undefined) return undefined;
  const versions = rows.map((one) => ({
    number: one.versionNumber,
    digest: one.versionDigest,
    pepperId: one.versionPepperId,
    createTimeMs: one.versionCreateTimeMs,
    graceEndTimeMs: one.versionGraceEndTimeMs,
    lastUsedTimeMs: one.versionLastUsedTimeMs,
    useCount: one.versionUseCount,
  }));
  return keyOf(row, versions);
}

/** Gives the keys of rows as `keyOfRows` takes them, in any order but for those of each key. */
export function keysOfRows(rows: readonly KeyWithVersionRow[]): ReadonlyMap<string, ApiKey> {
  const groups = new Map<string, KeyWithVersionRow[]>();
  for (const row of rows) {
    const group = groups.get(row.id);
    if (group === undefined) groups.set(row.id, [row]);
    else group.push(row);
  }
  return new Map([...groups].flatMap(([id, group]) => [[id, keyOfRows(group) as ApiKey]]));
}

/** Gives the key of a row and its versions' rows, newest first. */
function keyOf(row: KeyRow, versions: readonly SecretVersionRow[]): ApiKey {
  return {
    id: row.id as KeyId,
    tenantId: row.tenantId as TenantId,
    name: row.name,
    ownerId: row.ownerId,
    scopes: JSON.parse(row.scopes),
    ...(row.metadata !== null && { metadata: JSON.parse(row.metadata) }),
    labels: JSON.parse(row.labels),
    state: row.state as KeyState,
    visibility: row.visibility as Visibility,
    kind: row.kind as KeyKind,
    prefix: row.prefix,
    createTimeMs: Number(row.createTimeMs),
    updateTimeMs: Number(row.updateTimeMs),
    ...(row.expireTimeMs !== null && { expireTimeMs: Number(row.expireTimeMs) }),
    allowedCidrs: JSON.parse(row.allowedCidrs),
    constraints: JSON.parse(row.constraints),
    ...(row.rateLimits !== null && { rateLimits: JSON.parse(row.rateLimits) }),
    ...(row.derivePolicy !== null && { derivePolicy: JSON.parse(row.derivePolicy) }),
    tokenEpoch: Number(row.tokenEpoch),
    ...(row.revocationReason !== null && {
      revocation: {
        reason: row.revocationReason as RevocationReason,
        comment: row.revocationComment ?? "",
        timeMs: Number(row.revocationTimeMs),
      },
    }),
    secretVersions: versions.map(secretVersionOf),
    ...(Number(row.useCount) > 0 && { use: { ...useOf(row), lastAddress: row.lastUsedAddress } }),
    revision: BigInt(row.revision),
  };
}

function secretVersionOf(row: SecretVersionRow): SecretVersion {
  return {
    number: Number(row.number),
    digest: row.digest,
    pepperId: row.pepperId,
    createTimeMs: Number(row.createTimeMs),
    ...(row.graceEndTimeMs !== null && { graceEndTimeMs: Number(row.graceEndTimeMs) }),
    ...(Number(row.useCount) > 0 && { use: useOf(row) }),
  };
}

function useOf({ lastUsedTimeMs, useCount }: Pick<SecretVersionRow, "lastUsedTimeMs" | "useCount">): Use {
  return { lastTimeMs: Number(lastUsedTimeMs), count: Number(useCount) };
}

/** Gives the columns of a key but its use, as Prisma and raw SQL take them. */
export function keyRowOf(key: ApiKey) {
  return {
    id: key.id as string,
    tenantId: key.tenantId as string,
    name: key.name,
    ownerId: key.ownerId,
    scopes: JSON.stringify(key.scopes),
    metadata: key.metadata === undefined ? null : JSON.stringify(key.metadata),
    labels: JSON.stringify(key.labels),
    state: key.state as string,
    visibility: key.visibility as string,
    kind: key.kind as string,
    prefix: key.prefix,
    createTimeMs: BigInt(key.createTimeMs),
    updateTimeMs: BigInt(key.updateTimeMs),
    expireTimeMs: nullableInt(key.expireTimeMs),
    allowedCidrs: JSON.stringify(key.allowedCidrs),
    constraints: JSON.stringify(key.constraints),
    tokenEpoch: key.tokenEpoch,
    rateLimits: key.rateLimits === undefined ? null : JSON.stringify(key.rateLimits),
    derivePolicy: key.derivePolicy === undefined ? null : JSON.stringify(key.derivePolicy),
    revocationReason: key.revocation?.reason ?? null,
    revocationComment: key.revocation?.comment ?? null,
    revocationTimeMs: nullableInt(key.revocation?.timeMs),
    revision: key.revision,
  } satisfies Omit<KeyRow, "lastUsedTimeMs" | "lastUsedAddress" | "useCount">;
}

export function secretVersionRowOf(key: ApiKey, version: SecretVersion) {
  return {
    keyId: key.id as string,
    number: version.number,
    tenantId: key.tenantId as string,
    digest: ownBytes(version.digest),
    pepperId: version.pepperId,
    createTimeMs: BigInt(version.createTimeMs),
    graceEndTimeMs: nullableInt(version.graceEndTimeMs),
  };
}

/** A tenant as its columns have it. */
export type TenantRow = Readonly<Record<"id" | "slug" | "name" | "state" | "settings", string>> &
  Readonly<Record<"createTimeMs" | "updateTimeMs", Int>> & { readonly tokensIssuedBeforeMs: Int | null };

export function tenantOf(row: TenantRow): Tenant {
  return {
    id: row.id as TenantId,
    slug: row.slug,
    name: row.name,
    state: row.state as TenantState,
    // What a setting is that an older version didn't know.
    settings: { ...defaultTenantSettings, ...JSON.parse(row.settings) },
    createTimeMs: Number(row.createTimeMs),
    updateTimeMs: Number(row.updateTimeMs),
    ...(row.tokensIssuedBeforeMs !== null && { tokensIssuedBeforeMs: Number(row.tokensIssuedBeforeMs) }),
  };
}

export function tenantRowOf(tenant: Tenant) {
  return {
    id: tenant.id as string,
    slug: tenant.slug,
    name: tenant.name,
    state: tenant.state as string,
    settings: JSON.stringify(tenant.settings),
    createTimeMs: BigInt(tenant.createTimeMs),
    updateTimeMs: BigInt(tenant.updateTimeMs),
    tokensIssuedBeforeMs: nullableInt(tenant.tokensIssuedBeforeMs),
  };
}

export interface SealedSecretRow {
  readonly id: string;
  readonly tenantId: string | null;
  readonly purpose: string;
  readonly masterKeyId: string;
  readonly sealed: Uint8Array;
  readonly createTimeMs: Int;
}

export function sealedSecretOf({ tenantId, createTimeMs, ...row }: SealedSecretRow): SealedSecret {
  return { ...row, ...(tenantId !== null && { tenantId: tenantId as TenantId }), createTimeMs: Number(createTimeMs) };
}

export function sealedSecretRowOf(secret: SealedSecret) {
  return {
    ...secret,
    tenantId: secret.tenantId ?? null,
    sealed: ownBytes(secret.sealed),
    createTimeMs: BigInt(secret.createTimeMs),
  };
}

export interface IdempotencyRow {
  readonly tenantId: string;
  readonly callerKeyId: string;
  readonly method: string;
  readonly requestId: string;
  readonly fingerprint: Uint8Array;
  readonly keyId: string;
  readonly revision: Int;
  readonly createTimeMs: Int;
  readonly sealedAnswer: Uint8Array | null;
  readonly dueTimeMs: Int;
}

export function idempotencyRecordOf({
  tenantId,
  callerKeyId,
  keyId,
  sealedAnswer,
  revision,
  createTimeMs,
  dueTimeMs: _,
  ...row
}: IdempotencyRow): IdempotencyRecord {
  return {
    tenantId: tenantId as TenantId,
    callerKeyId: callerKeyId as KeyId,
    keyId: keyId as KeyId,
    ...row,
    revision: BigInt(revision),
    createTimeMs: Number(createTimeMs),
    ...(sealedAnswer !== null && { sealedAnswer }),
  };
}

export function idempotencyRowOf(record: IdempotencyRecord) {
  return {
    ...record,
    fingerprint: ownBytes(record.fingerprint),
    createTimeMs: BigInt(record.createTimeMs),
    sealedAnswer: record.sealedAnswer === undefined ? null : ownBytes(record.sealedAnswer),
    dueTimeMs: BigInt(record.createTimeMs + (record.sealedAnswer === undefined ? recordLifetimeMs : answerLifetimeMs)),
  };
}

export interface LogRow {
  readonly revision: Int;
  readonly hash: Uint8Array;
  readonly commitTimeMs: Int;
  readonly payload: Uint8Array | null;
}

/** Entries whose payload is gone aren't in it. */
export function changeRowsOf(rows: readonly LogRow[]): readonly ChangeRow[] {
  return rows.flatMap(({ revision, hash, commitTimeMs, payload }) =>
    payload === null
      ? []
      : [{ revision: BigInt(revision), hash, commitTimeMs: Number(commitTimeMs), change: decodeChange(payload) }],
  );
}

function nullableInt(value: number | undefined): bigint | null {
  return value === undefined ? null : BigInt(value);
}

/** The bytes over an ArrayBuffer of their own kind, as Prisma's types ask. */
export function ownBytes(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  return bytes as Uint8Array<ArrayBuffer>;
}

/** The column of a member, as the models map them: snake case. */
export function columnOf(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
