import type { MessageInitShape } from "@bufbuild/protobuf";
import type { RateLimit as RateLimitPb, RateLimitSchema, RateLimitStateSchema } from "../../gen/ichor/v1/api_key_pb.ts";
import type { FieldViolations } from "../core/field-violations.ts";
import type { RateLimit, RateLimitState } from "../core/rate-limit.ts";
import { fromDuration, toDuration, toTimestamp } from "./time.ts";

/** Bounds of what a key holds; the comments of api_key.proto tell them. */
const rateLimitsMax = 8;
const usesMax = 1_000_000_000;
const periodMsMin = 1_000;
const periodMsMax = 31 * 86_400_000;

/** Parses the limits of a key; a `burst` that isn't set is the limit itself. Notes violations under `at`, as `rate_limits`. */
export function parseRateLimits(
  violations: FieldViolations,
  messages: readonly RateLimitPb[],
  at: string,
): readonly RateLimit[] {
  if (!violations.require(messages.length <= rateLimitsMax, at, `must have at most ${rateLimitsMax} limits`)) return [];
  const names = new Set<string>();
  return messages.map(({ name, limit, period, burst, strict }, i) => {
    const field = (member: string) => `${at}[${i}].${member}`;
    violations.require(/^[a-z][a-z0-9_.-]{0,63}$/.test(name), field("name"), "must match [a-z][a-z0-9_.-]{0,63}");
    violations.require(!names.has(name), field("name"), "is the name of an earlier limit");
    names.add(name);
    violations.require(limit >= 1n && limit <= usesMax, field("limit"), `must be 1 to ${usesMax}`);
    violations.require(burst >= 0n && burst <= usesMax, field("burst"), `must be 1 to ${usesMax}, or not set`);
    const periodMs = period && fromDuration(period);
    violations.require(
      periodMs !== undefined && periodMs >= periodMsMin && periodMs <= periodMsMax,
      field("period"),
      "must be 1 s to 31 d",
    );
    return { name, limit: Number(limit), periodMs: periodMs ?? 0, burst: Number(burst || limit), strict };
  });
}

/** The limits of a key as told to callers. */
export function rateLimitsToProto(limits: readonly RateLimit[] = []): MessageInitShape<typeof RateLimitSchema>[] {
  return limits.map(({ name, limit, periodMs, burst, strict }) => ({
    name,
    limit: BigInt(limit),
    period: toDuration(periodMs),
    burst: BigInt(burst),
    strict,
  }));
}

/** What is left of them. */
export function rateLimitStatesToProto(
  states: readonly RateLimitState[],
): MessageInitShape<typeof RateLimitStateSchema>[] {
  return states.map(({ name, limit, remaining, resetTimeMs, retryTimeMs }) => ({
    name,
    limit: BigInt(limit),
    remaining: BigInt(remaining),
    resetTime: toTimestamp(resetTimeMs),
    ...(retryTimeMs !== undefined && { retryTime: toTimestamp(retryTimeMs) }),
  }));
}
