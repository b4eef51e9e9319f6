import type { Duration } from "@bufbuild/protobuf/wkt";
import { InvalidArgumentError } from "commander";

const unitSeconds: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400 };

/** Parses `90s`, `15m`, `12h` or `30d`. Throws commander's error for anything else. */
export function parseSpan(text: string): Pick<Duration, "seconds" | "nanos"> {
  const match = /^(\d{1,9})([smhd])$/.exec(text);
  const unit = unitSeconds[match?.[2] ?? ""];
  if (match === null || unit === undefined) throw new InvalidArgumentError("Use a number with s, m, h or d, as 30d.");
  return { seconds: BigInt(Number(match[1]) * unit), nanos: 0 };
}
