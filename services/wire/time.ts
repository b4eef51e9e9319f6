import type { Duration, Timestamp } from "@bufbuild/protobuf/wkt";

/** The Timestamp of a time in ms, or undefined for undefined: an unset field. */
export function toTimestamp(timeMs: number | undefined): { seconds: bigint; nanos: number } | undefined {
  if (timeMs === undefined) return undefined;
  const seconds = Math.floor(timeMs / 1000);
  return { seconds: BigInt(seconds), nanos: (timeMs - seconds * 1000) * 1_000_000 };
}

/** Ms since the epoch, sub-millisecond part cut; undefined if the message is out of the range of protobuf JSON. */
export function fromTimestamp(time: Timestamp): number | undefined {
  const { seconds, nanos } = time;
  const valid = seconds >= -62_135_596_800n && seconds <= 253_402_300_799n && nanos >= 0 && nanos < 1_000_000_000;
  return valid ? Number(seconds) * 1000 + Math.floor(nanos / 1_000_000) : undefined;
}

/** The Duration of a span in ms. */
export function toDuration(spanMs: number): { seconds: bigint; nanos: number } {
  const seconds = Math.trunc(spanMs / 1000);
  return { seconds: BigInt(seconds), nanos: Math.round((spanMs - seconds * 1000) * 1_000_000) };
}

/** Ms, sub-millisecond part cut; undefined if negative or out of the range of protobuf JSON (10 000 years). */
export function fromDuration(span: Duration): number | undefined {
  const { seconds, nanos } = span;
  const valid = seconds >= 0n && seconds <= 315_576_000_000n && nanos >= 0 && nanos < 1_000_000_000;
  return valid ? Number(seconds) * 1000 + Math.floor(nanos / 1_000_000) : undefined;
}
