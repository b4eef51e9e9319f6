import type { MessageInitShape } from "@bufbuild/protobuf";
import type { Duration } from "@bufbuild/protobuf/wkt";
import {
  type Tenant as TenantPb,
  type TenantSchema,
  type TenantSettings as TenantSettingsPb,
  TenantState as TenantStatePb,
} from "../../gen/ichor/v1/tenant_pb.ts";
import { tenantDigest } from "../core/change-chain.ts";
import type { FieldViolations } from "../core/field-violations.ts";
import { defaultTenantSettings, issuerOf, type Tenant, type TenantSettings } from "../core/tenant.ts";
import { algorithmFromProto, algorithmToProto } from "./signing-key.ts";
import { fromDuration, toDuration, toTimestamp } from "./time.ts";

/** A tenant as told to callers; `baseUrl` is that of the issuer. */
export function tenantToProto(tenant: Tenant, baseUrl: string): MessageInitShape<typeof TenantSchema> {
  const { settings } = tenant;
  const span = (seconds: number) => toDuration(seconds * 1000);
  return {
    id: tenant.id,
    slug: tenant.slug,
    name: tenant.name,
    state: TenantStatePb[tenant.state],
    settings: {
      secretPrefixes: [...settings.secretPrefixes],
      publicPrefixes: [...settings.publicPrefixes],
      retiredPrefixes: [...settings.retiredPrefixes],
      macaroonPrefix: settings.macaroonPrefix,
      retiredMacaroonPrefixes: [...settings.retiredMacaroonPrefixes],
      keyTtl: span(settings.keyTtlSeconds),
      neverExpiresAllowed: settings.neverExpiresAllowed,
      tokenTtl: span(settings.tokenTtlSeconds),
      tokenTtlMax: span(settings.tokenTtlMaxSeconds),
      signingAlgorithm: algorithmToProto(settings.signingAlgorithm),
      signingKeyPeriod: span(settings.signingKeyPeriodSeconds),
      selfRotationAllowed: settings.selfRotationAllowed,
      keysMax: settings.keysMax ?? 0,
      keysPerOwnerMax: settings.keysPerOwnerMax ?? 0,
      importedKeyBytesMin: settings.importedKeyBytesMin,
      deadKeyRetentionDays: settings.deadKeyRetentionDays ?? 0,
    },
    createTime: toTimestamp(tenant.createTimeMs),
    updateTime: toTimestamp(tenant.updateTimeMs),
    issuer: issuerOf(baseUrl, tenant),
    etag: etagOfTenant(tenant),
  };
}

/** Changes with every change of the tenant. */
export function etagOfTenant(tenant: Tenant): string {
  return Buffer.from(tenantDigest(tenant).subarray(0, 12)).toString("base64url");
}

/** A setting: its name in the domain, and its value in a message; undefined if it isn't set there. */
interface Field<K extends keyof TenantSettings = keyof TenantSettings> {
  readonly name: K;
  readonly read: (settings: TenantSettingsPb) => unknown;
}

const list = (items: readonly string[]) => (items.length === 0 ? undefined : items);
/** What is no span becomes NaN, which no bound allows. */
const seconds = (span: Duration | undefined) => span && (fromDuration(span) ?? Number.NaN) / 1000;

/** By the message's field. */
const settingFields: Readonly<Record<string, Field>> = {
  secret_prefixes: { name: "secretPrefixes", read: (s) => list(s.secretPrefixes) },
  public_prefixes: { name: "publicPrefixes", read: (s) => list(s.publicPrefixes) },
  retired_prefixes: { name: "retiredPrefixes", read: (s) => list(s.retiredPrefixes) },
  macaroon_prefix: { name: "macaroonPrefix", read: (s) => s.macaroonPrefix || undefined },
  retired_macaroon_prefixes: { name: "retiredMacaroonPrefixes", read: (s) => list(s.retiredMacaroonPrefixes) },
  key_ttl: { name: "keyTtlSeconds", read: (s) => seconds(s.keyTtl) },
  never_expires_allowed: { name: "neverExpiresAllowed", read: (s) => s.neverExpiresAllowed },
  token_ttl: { name: "tokenTtlSeconds", read: (s) => seconds(s.tokenTtl) },
  token_ttl_max: { name: "tokenTtlMaxSeconds", read: (s) => seconds(s.tokenTtlMax) },
  signing_algorithm: { name: "signingAlgorithm", read: (s) => algorithmFromProto(s.signingAlgorithm) },
  signing_key_period: { name: "signingKeyPeriodSeconds", read: (s) => seconds(s.signingKeyPeriod) },
  self_rotation_allowed: { name: "selfRotationAllowed", read: (s) => s.selfRotationAllowed },
  keys_max: { name: "keysMax", read: (s) => s.keysMax || undefined },
  keys_per_owner_max: { name: "keysPerOwnerMax", read: (s) => s.keysPerOwnerMax || undefined },
  imported_key_bytes_min: { name: "importedKeyBytesMin", read: (s) => s.importedKeyBytesMin || undefined },
  dead_key_retention_days: { name: "deadKeyRetentionDays", read: (s) => s.deadKeyRetentionDays || undefined },
};

/** Gives the settings of a message, `base` where it sets none. */
export function settingsFromProto(message: TenantSettingsPb | undefined, base: TenantSettings): TenantSettings {
  if (message === undefined) return base;
  const told = Object.values(settingFields).flatMap(({ name, read }) => {
    const value = read(message);
    return value === undefined ? [] : [[name, value]];
  });
  return { ...base, ...Object.fromEntries(told) };
}

/** Notes what a message says that this version doesn't know. */
export function checkKnownSettings(violations: FieldViolations, message: TenantSettingsPb | undefined): void {
  const algorithm = message?.signingAlgorithm ?? 0;
  const known = algorithm === 0 || algorithmFromProto(algorithm) !== undefined;
  violations.require(known, "settings.signing_algorithm", "is not a value that this version knows");
}

/**
 * Gives a tenant with what an update changes: the fields that `paths` name, or those that the message sets if there is
 * no mask. A named setting that the message doesn't set gets its default. Notes paths that name nothing changeable.
 */
export function updatedTenant(
  violations: FieldViolations,
  tenant: Tenant,
  message: TenantPb,
  paths: readonly string[] | undefined,
): Tenant {
  if (paths === undefined) {
    const name = message.name || tenant.name;
    return { ...tenant, name, settings: settingsFromProto(message.settings, tenant.settings) };
  }
  let after = tenant;
  const told = settingsFromProto(message.settings, defaultTenantSettings);
  for (const path of paths) {
    const setting = path.startsWith("settings.") ? path.slice("settings.".length) : "";
    const field = Object.hasOwn(settingFields, setting) ? settingFields[setting] : undefined;
    if (path === "name") after = { ...after, name: message.name };
    else if (path === "settings") after = { ...after, settings: told };
    else if (field) after = { ...after, settings: { ...after.settings, [field.name]: told[field.name] } };
    else violations.add("update_mask", `names ${JSON.stringify(path.slice(0, 64))}, which can't be changed`);
  }
  return after;
}
