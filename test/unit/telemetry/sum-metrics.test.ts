import { describe, expect, it } from "vitest";
import { sumMetrics } from "../../../services/telemetry/sum-metrics.ts";

const textOf = (verifications: number, revision: number, age: number) => `# HELP ichor_verifications_total Answers
# TYPE ichor_verifications_total counter
ichor_verifications_total{ichor_code="VALID",ichor_kind="JWT"} ${verifications}
# HELP ichor_log_revision Revision
# TYPE ichor_log_revision gauge
ichor_log_revision ${revision}
# HELP ichor_log_age_seconds Age
# TYPE ichor_log_age_seconds gauge
ichor_log_age_seconds ${age}
# HELP ichor_use_waiting Keys
# TYPE ichor_use_waiting gauge
ichor_use_waiting 2
# HELP rpc_seconds Calls
# TYPE rpc_seconds histogram
rpc_seconds_count{m="a b"} ${verifications}
rpc_seconds_bucket{m="a b",le="+Inf"} ${verifications}
`;

const readingOf = (text: string, key: string) =>
  Number(
    text
      .split("\n")
      .find((line) => line.startsWith(`${key} `))
      ?.slice(key.length + 1),
  );

describe("the metrics of several processes", () => {
  const sum = sumMetrics([textOf(3, 10, 0.5), textOf(4, 8, 1.5)], [textOf(100, 1, 60)]);

  it("add up what is counted, that of ended processes too", () => {
    expect(readingOf(sum, 'ichor_verifications_total{ichor_code="VALID",ichor_kind="JWT"}')).toBe(107);
    expect(readingOf(sum, 'rpc_seconds_bucket{m="a b",le="+Inf"}')).toBe(107);
    expect(readingOf(sum, 'rpc_seconds_count{m="a b"}')).toBe(107);
  });

  it("tell of gauges the sum of those that run, or the one that counts", () => {
    expect(readingOf(sum, "ichor_use_waiting")).toBe(4);
    expect(readingOf(sum, "ichor_log_revision")).toBe(8);
    expect(readingOf(sum, "ichor_log_age_seconds")).toBe(1.5);
  });

  it("stay a text whose names stand together, each told once", () => {
    expect(sum.match(/^# TYPE /gm)).toHaveLength(5);
    expect(sumMetrics([sum])).toBe(sum);
  });

  it("keep values that are no plain numbers", () => {
    const odd = '# TYPE x gauge\nx{a="1"} +Inf\nx{a="2"} NaN\nx{a="3"} 1e-7\n';
    expect(sumMetrics([odd])).toBe(odd);
  });
});
