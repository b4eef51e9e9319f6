import type { MessageInitShape } from "@bufbuild/protobuf";
import { InvalidArgumentError } from "commander";
import type { RateLimitSchema } from "../../gen/ichor/v1/api_key_pb.ts";
import { parseSpan } from "./span.ts";

/** How the option is written, for its help. */
export const rateLimitSyntax = "<name=limit/period[,burst=N][,strict]...>";

/** Adds one more limit, as `api=100/1h,burst=20,strict`, to those that were given before it. Throws commander's error. */
export function parseRateLimit(
  text: string,
  before: readonly MessageInitShape<typeof RateLimitSchema>[] = [],
): readonly MessageInitShape<typeof RateLimitSchema>[] {
  const match = /^([^=,]+)=(\d{1,10})\/(\d+[smhd])(?:,burst=(\d{1,10}))?(,strict)?$/.exec(text);
  if (match === null) throw new InvalidArgumentError("Use name=limit/period, as api=100/1h,burst=20,strict.");
  const [, name, limit = "", period = "", burst = "0", strict] = match;
  const parsed = { name, limit: BigInt(limit), period: parseSpan(period), burst: BigInt(burst), strict: !!strict };
  return [...before, parsed as MessageInitShape<typeof RateLimitSchema>];
}
