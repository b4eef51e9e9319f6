import { ambiguousPrefixes, isCredentialPrefix } from "./credential.ts";
import { tokenLifeSecondsMax } from "./derived-token.ts";
import type { FieldViolations } from "./field-violations.ts";
import type { TenantSettings } from "./tenant.ts";

const daySeconds = 86_400;

/** The most keys that a tenant's quota can allow. */
const keysMaxMax = 1_000_000_000;
/** The most keys that an owner's quota can allow: they are counted whenever the owner gets one. */
const keysPerOwnerMaxMax = 100_000;
/** Raw keys of so many bytes hold enough that nobody guesses; a tenant may take shorter ones, not ask for longer. */
const importedKeyBytesMinMax = 16;
const deadKeyRetentionDaysMax = 3650;

/** Notes what is wrong with a tenant's settings as a whole, by the fields of the message under `at`, as `settings.`. */
export function checkTenantSettings(violations: FieldViolations, settings: TenantSettings, at: string): void {
  checkPrefixes(violations, `${at}secret_prefixes`, settings.secretPrefixes, 1, 8);
  checkPrefixes(violations, `${at}public_prefixes`, settings.publicPrefixes, 1, 8);
  checkPrefixes(violations, `${at}retired_prefixes`, settings.retiredPrefixes, 0, 32);
  checkPrefixes(violations, `${at}macaroon_prefix`, [settings.macaroonPrefix], 1, 1);
  checkPrefixes(violations, `${at}retired_macaroon_prefixes`, settings.retiredMacaroonPrefixes, 0, 8);
  const [ambiguous] = ambiguousPrefixes(settings);
  violations.require(
    ambiguous === undefined,
    `${at}macaroon_prefix`,
    `makes the prefix ${ambiguous} ambiguous: its credentials would be taken for macaroons`,
  );
  const { keyTtlSeconds, tokenTtlSeconds, tokenTtlMaxSeconds, signingKeyPeriodSeconds } = settings;
  checkSpan(violations, `${at}key_ttl`, keyTtlSeconds, 1, 3650 * daySeconds, "1 s to 3650 d");
  checkSpan(violations, `${at}token_ttl`, tokenTtlSeconds, 1, tokenLifeSecondsMax, "1 s to 24 h");
  checkSpan(violations, `${at}token_ttl_max`, tokenTtlMaxSeconds, 1, tokenLifeSecondsMax, "1 s to 24 h");
  violations.require(tokenTtlSeconds <= tokenTtlMaxSeconds, `${at}token_ttl`, "must not be above token_ttl_max");
  checkSpan(
    violations,
    `${at}signing_key_period`,
    signingKeyPeriodSeconds,
    daySeconds,
    365 * daySeconds,
    "1 d to 365 d",
  );
  const { keysMax, keysPerOwnerMax, importedKeyBytesMin, deadKeyRetentionDays } = settings;
  checkCount(violations, `${at}keys_max`, keysMax, keysMaxMax);
  checkCount(violations, `${at}keys_per_owner_max`, keysPerOwnerMax, keysPerOwnerMaxMax);
  checkCount(violations, `${at}imported_key_bytes_min`, importedKeyBytesMin, importedKeyBytesMinMax);
  checkCount(violations, `${at}dead_key_retention_days`, deadKeyRetentionDays, deadKeyRetentionDaysMax);
}

/** From 1 on; absent is a choice too. */
function checkCount(violations: FieldViolations, field: string, count: number | undefined, max: number): void {
  const fits = count === undefined || (Number.isInteger(count) && count >= 1 && count <= max);
  violations.require(fits, field, `must be 1 to ${max}`);
}

function checkPrefixes(
  violations: FieldViolations,
  field: string,
  prefixes: readonly string[],
  min: number,
  max: number,
): void {
  if (!violations.require(prefixes.length >= min && prefixes.length <= max, field, `must have ${min} to ${max} items`))
    return;
  prefixes.forEach((prefix, i) => {
    violations.require(isCredentialPrefix(prefix), `${field}[${i}]`, "doesn't match [a-z][a-z0-9_]{0,18}[a-z0-9]");
    violations.require(prefixes.indexOf(prefix) === i, `${field}[${i}]`, "is listed twice");
  });
}

function checkSpan(
  violations: FieldViolations,
  field: string,
  seconds: number,
  min: number,
  max: number,
  bounds: string,
): void {
  const fits = Number.isInteger(seconds) && seconds >= min && seconds <= max;
  violations.require(fits, field, `must be ${bounds}, in whole seconds`);
}
