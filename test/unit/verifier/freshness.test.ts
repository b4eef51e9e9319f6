import { describe, expect, it } from "vitest";
import { Freshness } from "../../../services/verifier/freshness.ts";
import { FakeVerifierClock } from "../../fakes/verifier-clock.ts";

const start = Date.UTC(2026, 0, 1);

function fresh(asOfMs: number) {
  const clock = new FakeVerifierClock(start);
  const freshness = new Freshness(clock);
  freshness.arrived(asOfMs);
  return { clock, freshness };
}

describe("the age of what is known", () => {
  it("is infinite before anything was heard", () => {
    expect(new Freshness(new FakeVerifierClock(start)).ageMs()).toBe(Number.POSITIVE_INFINITY);
  });

  it("counts how old it was by arrival, and goes on from there", () => {
    const { clock, freshness } = fresh(start - 1_500);
    expect(freshness.ageMs()).toBe(1_500);
    clock.advance(2_000);
    expect(freshness.ageMs()).toBe(3_500);
  });

  it("is not made younger by a server whose clock is ahead, and not known if that is too far ahead", () => {
    expect(fresh(start + 5_000).freshness.ageMs()).toBe(0);
    expect(fresh(start + 5_001).freshness.ageMs()).toBe(Number.POSITIVE_INFINITY);
  });

  it("takes the larger of both clocks within 5 s, and is infinite beyond until something is heard", () => {
    const { clock, freshness } = fresh(start);
    clock.advance(1_000);
    clock.jump(5_000);
    expect(freshness.ageMs()).toBe(6_000);
    clock.jump(-10_000);
    expect(freshness.ageMs()).toBe(1_000);
    clock.jump(-1);
    expect(freshness.ageMs()).toBe(Number.POSITIVE_INFINITY);
    freshness.arrived(clock.now());
    expect(freshness.ageMs()).toBe(0);
  });

  it("is infinite after the machine slept, since one clock stood", () => {
    const { clock, freshness } = fresh(start);
    clock.jump(60_000);
    expect(freshness.ageMs()).toBe(Number.POSITIVE_INFINITY);
  });
});
