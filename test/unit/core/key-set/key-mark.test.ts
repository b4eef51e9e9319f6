import { describe, expect, it } from "vitest";
import {
  type KeyMark,
  markAfter,
  markNumber,
  readMark,
  tokenEpochMax,
} from "../../../../services/core/key-set/key-mark.ts";
import { tokenMemoryMs } from "../../../../services/core/signing-key.ts";

const now = Date.UTC(2026, 0, 1);
const dayAndQuarterMs = (24 * 60 + 15) * 60_000;

describe("the mark of a key", () => {
  it("remembers a revocation for the longest life of a token and 15 minutes", () => {
    expect(tokenMemoryMs).toBe(dayAndQuarterMs);
    expect(markAfter(undefined, "revoked", undefined, now)).toEqual({
      status: "REVOKED",
      tokenEpoch: 0,
      forgetTimeMs: now + dayAndQuarterMs,
    });
  });

  it("remembers a raised epoch whatever event raised it", () => {
    const mark = { status: "LIVE", tokenEpoch: 3, forgetTimeMs: now + dayAndQuarterMs };
    for (const event of ["rotated", "changed", "tokens_revoked"] as const) {
      expect(markAfter(undefined, event, 3, now)).toEqual(mark);
      expect(markAfter(mark as KeyMark, event, undefined, now + 1)).toEqual(mark);
    }
  });

  it("lasts as long as the key is disabled, and goes with it unless an epoch is to be told", () => {
    const disabled = markAfter(undefined, "disabled", undefined, now);
    expect(disabled).toEqual({ status: "DISABLED", tokenEpoch: 0 });
    expect(markAfter(disabled, "forgotten", undefined, now + 1e12)).toEqual(disabled);
    expect(markAfter(disabled, "enabled", undefined, now)).toBeUndefined();
    const deleted = markAfter(disabled, "deleted", undefined, now);
    expect(deleted).toMatchObject({ status: "REVOKED", forgetTimeMs: now + tokenMemoryMs });
    expect(markAfter(deleted, "forgotten", undefined, now)).toBeUndefined();
    const raised = markAfter(disabled, "tokens_revoked", 1, now);
    expect(markAfter(raised, "enabled", undefined, now)).toMatchObject({ status: "LIVE", tokenEpoch: 1 });
  });

  it("outlives the deletion of the key, and ends when it is forgotten", () => {
    const revoked = markAfter(undefined, "revoked", undefined, now);
    expect(markAfter(revoked, "deleted", undefined, now)).toEqual(revoked);
    expect(markAfter(revoked, "forgotten", undefined, now)).toBeUndefined();
  });

  it("is not made by what concerns no derived token", () => {
    for (const event of ["issued", "imported", "changed", "grace_ended", "deleted", "enabled"] as const) {
      expect(markAfter(undefined, event, undefined, now)).toBeUndefined();
    }
  });

  it("stands in 32 bits, so that none is 0", () => {
    for (const status of ["LIVE", "DISABLED", "REVOKED"] as const) {
      for (const tokenEpoch of [0, 1, tokenEpochMax]) {
        expect(readMark(markNumber({ status, tokenEpoch }))).toEqual({ status, tokenEpoch });
      }
    }
    expect(readMark(3 * 2 ** 30)).toBeUndefined();
    expect(() => markNumber({ status: "LIVE", tokenEpoch: tokenEpochMax + 1 })).toThrow(TypeError);
  });
});
