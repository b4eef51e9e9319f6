import { describe, expect, it } from "vitest";
import { parseTraceparent } from "../../../services/core/traceparent.ts";

const traceId = "4bf92f3577b34da6a3ce929d0e0e4736";
const spanId = "00f067aa0ba902b7";

describe("parseTraceparent", () => {
  it.each([
    [`00-${traceId}-${spanId}-01`, true],
    [`00-${traceId}-${spanId}-00`, false],
    [`00-${traceId}-${spanId}-03`, true],
    [`01-${traceId}-${spanId}-01`, true],
    [`cc-${traceId}-${spanId}-01-what-comes-later`, true],
  ])("reads %s", (text, sampled) => {
    expect(parseTraceparent(text)).toEqual({ traceId, spanId, sampled });
  });

  it.each([
    ["nothing", undefined],
    ["an empty text", ""],
    ["a version that can't be", `ff-${traceId}-${spanId}-01`],
    ["more than this version has", `00-${traceId}-${spanId}-01-x`],
    ["more without a dash", `01-${traceId}-${spanId}-01x`],
    ["a trace of zeros", `00-${"0".repeat(32)}-${spanId}-01`],
    ["a span of zeros", `00-${traceId}-${"0".repeat(16)}-01`],
    ["upper case", `00-${traceId.toUpperCase()}-${spanId}-01`],
    ["a short trace", `00-${traceId.slice(1)}-${spanId}-01`],
    ["two of them", `00-${traceId}-${spanId}-01, 00-${traceId}-${spanId}-01`],
    ["spaces", ` 00-${traceId}-${spanId}-01`],
    ["a line break at the end", `00-${traceId}-${spanId}-01\n`],
    ["a credential", "ichor_sk_01h455vb4pex5vsknk084sn02q"],
  ])("takes %s as none", (_what, text) => {
    expect(parseTraceparent(text)).toBeUndefined();
  });
});
