import { describe, expect, it } from "vitest";
import { parseRateLimit } from "../../../services/cli/rate-limit-option.ts";

describe("the option for rate limits", () => {
  it("reads a limit, with or without burst and strict, and keeps those before it", () => {
    const first = parseRateLimit("api=100/1h");
    expect(first).toEqual([
      { name: "api", limit: 100n, period: { seconds: 3_600n, nanos: 0 }, burst: 0n, strict: false },
    ]);
    expect(parseRateLimit("slow=1/10s,burst=3,strict", first)[1]).toEqual({
      name: "slow",
      limit: 1n,
      period: { seconds: 10n, nanos: 0 },
      burst: 3n,
      strict: true,
    });
  });

  it.each(["api", "api=1", "api=1/1", "api=1/1h,strict,burst=2", "=1/1h", "api=x/1h"])("refuses %s", (text) => {
    expect(() => parseRateLimit(text)).toThrow("api=100/1h");
  });
});
