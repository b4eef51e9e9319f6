import type { MessageInitShape } from "@bufbuild/protobuf";
import {
  type DerivePolicy as DerivePolicyPb,
  type DerivePolicySchema,
  TokenFormat as TokenFormatPb,
} from "../../gen/ichor/v1/api_key_pb.ts";
import type { DerivePolicy, TokenFormat } from "../core/api-key.ts";
import { isAudience } from "../core/audience.ts";
import { tokenLifeSecondsMax } from "../core/derived-token.ts";
import type { FieldViolations } from "../core/field-violations.ts";
import { reservedClaims } from "../core/jwt/reserved-claims.ts";
import { audiencesMax } from "./request-fields.ts";
import { fromDuration, toDuration } from "./time.ts";

const customClaimsMax = 32;
const claimNameBytesMax = 64;

export const tokenFormatToProto: Readonly<Record<TokenFormat, TokenFormatPb>> = TokenFormatPb;

/** The domain's format; undefined for an unset or unknown number. */
export function tokenFormatFromProto(value: TokenFormatPb): TokenFormat | undefined {
  return value === TokenFormatPb.JWT ? "JWT" : value === TokenFormatPb.MACAROON ? "MACAROON" : undefined;
}

/** Parses a derive policy. Notes violations under `at`, as `derive_policy`. */
export function parseDerivePolicy(
  violations: FieldViolations,
  message: DerivePolicyPb | undefined,
  at: string,
): DerivePolicy | undefined {
  if (message === undefined) return undefined;
  const { enabled, audiences, customClaims } = message;
  const formats = message.formats.map((value, i) => {
    const format = tokenFormatFromProto(value);
    violations.require(format !== undefined, `${at}.formats[${i}]`, "is not a format that this version knows");
    return format ?? "JWT";
  });
  violations.require(
    audiences.length <= audiencesMax,
    `${at}.audiences`,
    `must have at most ${audiencesMax} audiences`,
  );
  audiences.slice(0, audiencesMax).forEach((audience, i) => {
    violations.require(isAudience(audience), `${at}.audiences[${i}]`, "is not an audience");
  });
  violations.require(
    customClaims.length <= customClaimsMax,
    `${at}.custom_claims`,
    `must have at most ${customClaimsMax} names`,
  );
  customClaims.slice(0, customClaimsMax).forEach((name, i) => {
    const fits = name !== "" && Buffer.byteLength(name) <= claimNameBytesMax && !reservedClaims.has(name);
    violations.require(fits, `${at}.custom_claims[${i}]`, "is empty, longer than 64 bytes or a reserved claim");
  });
  const maxTtlMs = message.maxTtl && (fromDuration(message.maxTtl) ?? Number.NaN);
  const fits =
    maxTtlMs === undefined || (maxTtlMs >= 1000 && maxTtlMs <= tokenLifeSecondsMax * 1000 && maxTtlMs % 1000 === 0);
  violations.require(fits, `${at}.max_ttl`, "must be 1 s to 24 h, in whole seconds");
  return {
    enabled,
    formats: [...new Set(formats)],
    audiences,
    customClaims,
    ...(maxTtlMs !== undefined && { maxTtlSeconds: maxTtlMs / 1000 }),
  };
}

export function derivePolicyToProto(
  policy: DerivePolicy | undefined,
): MessageInitShape<typeof DerivePolicySchema> | undefined {
  return (
    policy && {
      enabled: policy.enabled,
      formats: policy.formats.map((format) => tokenFormatToProto[format]),
      ...(policy.maxTtlSeconds !== undefined && { maxTtl: toDuration(policy.maxTtlSeconds * 1000) }),
      audiences: [...policy.audiences],
      customClaims: [...policy.customClaims],
    }
  );
}
