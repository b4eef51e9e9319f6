import { type OnRun, type Periodic, type startPeriodic, tendIntervalMs } from "./changes/periodic.ts";
import { tendExpiry } from "./changes/tend-expiry.ts";
import type { Keyring } from "./keyring/keyring.ts";
import type { MasterKeys } from "./keyring/master-key.ts";
import { tendCheckpoints } from "./keyring/tend-checkpoints.ts";
import { tendFeedKeys } from "./keyring/tend-feed-keys.ts";
import { tendKeys } from "./keyring/tend-keys.ts";
import { purgeDeadKeys, purgeIntervalMs } from "./mutation/purge-dead-keys.ts";
import type { Store } from "./store/port.ts";

/** Idempotency records of one step, which keeps other writers waiting. */
const recordsOfStep = 500;

export interface PeriodicWorkDeps {
  readonly store: Store;
  readonly keyring: Keyring;
  readonly masterKeys: MasterKeys;
  /** How long before their end keys are told, in ms. */
  readonly expiryLeadsMs: readonly number[];
  /** Random bytes of a cryptographic source. */
  readonly random: (size: number) => Uint8Array;
  /** Ms since the epoch. */
  readonly now: () => number;
  readonly monotonicMs: () => number;
  /** Calls back once after so many ms and gives what cancels that. */
  readonly schedule: (callback: () => void, delayMs: number) => () => void;
  /** Begins work by the clock, if it is this process's. */
  readonly periodic: typeof startPeriodic;
  readonly onRun: OnRun;
  readonly log: { info(fields: object, message: string): void; error(fields: object, message: string): void };
}

/** Starts what is due by the clock, of keys and of what calls leave behind. Every server does it; see ARCHITECTURE.md. */
export function startPeriodicWork(deps: PeriodicWorkDeps): Periodic {
  const { store, keyring, masterKeys, expiryLeadsMs, random, now, monotonicMs, schedule, periodic, onRun, log } = deps;
  const rest = (ms: number) => new Promise<void>((resolve) => void schedule(resolve, ms));
  const start = (what: string, intervalMs: number, work: (goOn: () => boolean) => Promise<void>) =>
    periodic(work, { what, intervalMs, schedule, onRun, log });
  const works = [
    start("keys and tokens", tendIntervalMs, (goOn) => tendKeys({ store, keyring, now, log }, goOn)),
    start("dead keys", purgeIntervalMs, (goOn) => purgeDeadKeys({ store, now, monotonicMs, rest, log }, goOn)),
    start("idempotency records", tendIntervalMs, async (goOn) => {
      while (goOn() && (await store.tendIdempotencyRecords(now(), recordsOfStep)) > 0);
    }),
    start("expiry events", tendIntervalMs, (goOn) => tendExpiry({ store, leadsMs: expiryLeadsMs, now }, goOn)),
    start("feed keys", tendIntervalMs, () => tendFeedKeys({ store, masterKeys, random, now, log })),
    start("audit checkpoints", tendIntervalMs, () => tendCheckpoints({ store, masterKeys, random, now, log })),
  ];
  return {
    async run() {
      for (const work of works) await work.run();
    },
    async stop() {
      await Promise.all(works.map((work) => work.stop()));
    },
  };
}
