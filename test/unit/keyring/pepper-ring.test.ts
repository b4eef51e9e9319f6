import { beforeEach, describe, expect, it } from "vitest";
import { pepperLeadMs } from "../../../services/core/current-pepper.ts";
import type { LogEvent } from "../../../services/keyring/followed-secrets.ts";
import { MasterKeys } from "../../../services/keyring/master-key.ts";
import { PepperRing } from "../../../services/keyring/pepper-ring.ts";
import { createPepper } from "../../../services/keyring/peppers.ts";
import type { SealedSecret } from "../../../services/store/port.ts";
import { FakeClock } from "../../fakes/clock.ts";
import { seededRandom } from "../../fakes/random.ts";

const random = seededRandom();
const masterKeys = new MasterKeys([random(32)]);
const added: LogEvent = { kind: "change", row: { change: { kind: "secret", event: "pepper_added" } } };

let clock: FakeClock;
let rows: SealedSecret[];
/** What a read gives; the store gives no answer while it throws. */
let read: () => Promise<SealedSecret[]>;
let ageMs: number;
let timers: { at: number; callback: () => void }[];
let tell: (event: LogEvent) => void;
let faults: number;

beforeEach(() => {
  clock = new FakeClock();
  rows = [createPepper(masterKeys, clock.now() - 86_400_000, random).row];
  read = async () => [...rows];
  ageMs = 0;
  timers = [];
  faults = 0;
});

const load = () =>
  PepperRing.load({
    store: { listSealedSecrets: () => read() },
    masterKeys,
    now: clock.now,
    schedule: (callback, delayMs) => {
      const timer = { at: clock.now() + delayMs, callback };
      timers.push(timer);
      return () => void timers.splice(timers.indexOf(timer), 1);
    },
    followed: { ageMs: () => ageMs, subscribe: (listener) => (tell = listener) },
    log: { error: () => void faults++ },
  });

/** Lets time go by, and what is due happen. */
async function pass(ms: number): Promise<void> {
  clock.advance(ms);
  for (const timer of timers.filter(({ at }) => at <= clock.now())) {
    timers.splice(timers.indexOf(timer), 1);
    timer.callback();
  }
  await settle();
}
const settle = () => new Promise((resolve) => setImmediate(resolve));

function add(): string {
  const { row } = createPepper(masterKeys, clock.now(), random);
  rows.push(row);
  return row.id;
}

describe("the peppers of a running server", () => {
  it("are those of the log: a new one verifies at once, and is current after its lead", async () => {
    const ring = await load();
    const before = ring.current().id;
    const id = add();
    expect(ring.get(id)).toBeUndefined();
    tell(added);
    await settle();
    expect(ring.get(id)).toBeDefined();
    expect(ring.current().id).toBe(before);
    await pass(pepperLeadMs - 1);
    expect(ring.current().id).toBe(before);
    await pass(1);
    expect(ring.current().id).toBe(id);
    expect(timers).toEqual([]);
  });

  it("lose one that was retired", async () => {
    const ring = await load();
    const id = add();
    await pass(0);
    tell(added);
    await pass(pepperLeadMs);
    rows.shift();
    tell({ kind: "change", row: { change: { kind: "secret", event: "pepper_retired" } } });
    await settle();
    expect(ring.live().map((pepper) => pepper.id)).toEqual([id]);
  });

  it("may be incomplete while the log is stale or they can't be read, and are read until they can", async () => {
    const ring = await load();
    expect(ring.someSealed()).toBe(false);
    ageMs = 5_000;
    expect(ring.someSealed()).toBe(true);
    ageMs = 0;
    read = async () => {
      throw new Error("gone");
    };
    const id = add();
    tell(added);
    await settle();
    expect(ring.someSealed()).toBe(true);
    await pass(1_000);
    expect(faults).toBe(2);
    read = async () => [...rows];
    await pass(1_000);
    expect(ring.someSealed()).toBe(false);
    expect(ring.get(id)).toBeDefined();
  });

  it("are read once more for what is told while they are read", async () => {
    const ring = await load();
    const answers: (() => void)[] = [];
    read = () => {
      const now = [...rows];
      return new Promise((resolve) => void answers.push(() => resolve(now)));
    };
    tell(added);
    const id = add();
    tell(added);
    answers.shift()?.();
    await settle();
    expect(ring.get(id)).toBeUndefined();
    answers.shift()?.();
    await settle();
    expect(ring.get(id)).toBeDefined();
  });

  it("are left alone once it is closed", async () => {
    const ring = await load();
    add();
    tell(added);
    await settle();
    expect(timers).toHaveLength(1);
    ring.close();
    expect(timers).toEqual([]);
  });
});
