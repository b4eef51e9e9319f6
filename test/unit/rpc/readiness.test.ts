import { describe, expect, it } from "vitest";
import { createReadiness } from "../../../services/rpc/readiness.ts";

const never = new AbortController().signal;

describe("createReadiness", () => {
  it("is ready while nothing keeps it from being so", () => {
    const readiness = createReadiness();
    expect(readiness.reasons()).toEqual([]);
    readiness.set("store", true);
    readiness.set("migrations", true);
    expect(readiness.reasons()).toEqual(["store", "migrations"]);
    readiness.set("store", false);
    expect(readiness.reasons()).toEqual(["migrations"]);
  });

  it("wakes who waits for a change, and only at changes", async () => {
    const readiness = createReadiness();
    const seen = readiness.version;
    const woken = readiness.changed(seen, never);
    readiness.set("store", false);
    expect(readiness.version).toBe(seen);
    readiness.set("store", true);
    await woken;
    await readiness.changed(seen, never);
  });

  it("wakes who waits when its signal aborts", async () => {
    const readiness = createReadiness();
    const gone = new AbortController();
    const woken = readiness.changed(readiness.version, gone.signal);
    gone.abort(new Error("gone"));
    await woken;
    await readiness.changed(readiness.version, gone.signal);
  });

  it("drains for good", () => {
    const readiness = createReadiness();
    expect(readiness.draining).toBe(false);
    readiness.drain();
    readiness.drain();
    expect(readiness).toMatchObject({ draining: true });
    expect(readiness.drainSignal.aborted).toBe(true);
    expect(readiness.reasons()).toEqual(["draining"]);
  });
});
