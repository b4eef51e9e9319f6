import { describe, expect, it } from "vitest";
import type { KeyUse } from "../../../services/store/port.ts";
import { UseRecorder } from "../../../services/verification/use-recorder.ts";
import { FakeClock } from "../../fakes/clock.ts";
import { otherKeyId, someKey } from "../core/some-key.ts";

function recorder() {
  const written: KeyUse[] = [];
  const state = { failing: false, timers: [] as (() => void)[], cancelled: 0 };
  const clock = new FakeClock();
  const use = new UseRecorder({
    store: {
      addUse: async (uses) => {
        if (state.failing) throw new Error("no store");
        written.push(...uses);
      },
    },
    now: clock.now,
    schedule: (callback) => {
      state.timers.push(callback);
      return () => void state.cancelled++;
    },
    log: { warn() {} },
  });
  return { use, written, state, clock };
}

const key = someKey();

describe("the use of keys", () => {
  it("is added up per key and per secret, and written once", async () => {
    const { use, written, clock } = recorder();
    use.record(key.id, 1, "192.0.2.1");
    clock.advance(5);
    use.record(key.id, 2, "192.0.2.2");
    use.record(key.id, 2, "");
    use.record(otherKeyId, 1, "");
    await use.flush();
    const timeMs = clock.now();
    expect(written).toContainEqual({
      keyId: key.id,
      count: 3,
      lastTimeMs: timeMs,
      lastAddress: "192.0.2.2",
      versions: [
        { number: 1, count: 1, lastTimeMs: timeMs - 5 },
        { number: 2, count: 2, lastTimeMs: timeMs },
      ],
    });
    expect(written).toHaveLength(2);
    await use.flush();
    expect(written).toHaveLength(2);
  });

  it("waits for one timer, which is set by the first use and again after a write", async () => {
    const { use, state } = recorder();
    use.record(key.id, 1, "");
    use.record(key.id, 1, "");
    expect(state.timers).toHaveLength(1);
    state.timers[0]?.();
    await use.flush();
    use.record(key.id, 1, "");
    expect(state.timers).toHaveLength(2);
  });

  it("is kept when the store can't be written, and added to what comes meanwhile", async () => {
    const { use, written, state, clock } = recorder();
    use.record(key.id, 1, "192.0.2.1");
    state.failing = true;
    await use.flush();
    clock.advance(1);
    use.record(key.id, 1, "");
    state.failing = false;
    await use.flush();
    expect(written).toMatchObject([{ count: 2, lastTimeMs: clock.now(), versions: [{ number: 1, count: 2 }] }]);
  });

  it("is written at the end, in batches of at most 500 keys", async () => {
    const { use, written, state } = recorder();
    for (let i = 0; i < 1_100; i++) use.record(`key_${i}` as typeof otherKeyId, 1, "");
    await use.stop();
    expect(written).toHaveLength(1_100);
    expect(state.cancelled).toBeGreaterThan(0);
  });
});
