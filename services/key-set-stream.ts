import { randomInt } from "node:crypto";
import { type Applied, awaitApplied } from "./changes/await-applied.ts";
import { KeySetFeeds } from "./changes/key-set-feeds.ts";
import { type OnRun, type startPeriodic, tendIntervalMs } from "./changes/periodic.ts";
import { renewStoreEpoch } from "./changes/renew-store-epoch.ts";
import { schedule } from "./changes/schedule.ts";
import { SubscriptionLedger, subscriptionMemoryMs } from "./changes/subscription-ledger.ts";
import type { Tail } from "./changes/tail.ts";
import { tendChanges } from "./changes/tend-changes.ts";
import type { TenantId } from "./core/ids.ts";
import { KeySetHub } from "./derivation/key-set-hub.ts";
import { SignedKeySets } from "./derivation/signed-key-sets.ts";
import type { FeedKeys } from "./keyring/feed-keys.ts";
import type { Keyring } from "./keyring/keyring.ts";
import type { Store } from "./store/port.ts";

export interface KeySetStreamDeps {
  readonly store: Store;
  readonly tail: Tail;
  readonly keyring: Keyring;
  readonly feedKeys: FeedKeys;
  /** Base URL of the issuer. */
  readonly issuer: () => string;
  /** Ms since the epoch. */
  readonly now: () => number;
  /** Random bytes of a cryptographic source. */
  readonly random: (size: number) => Uint8Array;
  /** Aborts when the server stops. */
  readonly drain: AbortSignal;
  /** Begins work by the clock, if it is this process's. */
  readonly periodic: typeof startPeriodic;
  readonly onRun: OnRun;
  readonly log: {
    info(fields: object, message: string): void;
    warn(fields: object, message: string): void;
    error(fields: object, message: string): void;
  };
}

/** What streams key sets, and does what is due of the log by the clock. */
export interface KeySetStream {
  readonly hub: KeySetHub;
  readonly keySets: SignedKeySets;
  readonly ledger: SubscriptionLedger;
  readonly schedule: typeof schedule;
  awaitApplied(tenantId: TenantId, revision: bigint, remainingMs: () => number): Promise<Applied>;
  /** Does what is due of the log now, and waits for it. */
  tend(): Promise<void>;
  stop(): Promise<void>;
}

/** Puts the key-set stream on its ports; before the tail is started, so that it misses nothing. */
export function keySetStream({
  store,
  tail,
  keyring,
  feedKeys,
  issuer,
  now,
  random,
  drain,
  periodic,
  onRun,
  log,
}: KeySetStreamDeps): KeySetStream {
  const feeds = new KeySetFeeds({ store, tail });
  const serverId = `srv_${Buffer.from(random(10)).toString("hex")}`;
  const ledger = new SubscriptionLedger({
    store: store.subscriptions,
    serverId,
    revision: () => tail.revision,
    now,
    schedule,
    log,
  });
  const hub = new KeySetHub({
    feeds,
    tail,
    keyring,
    feedKeys,
    issuer,
    now,
    jitter: () => randomInt(2 ** 32) / 2 ** 32,
    schedule,
    drain,
    ackWanted: () => ledger.wantedRevision > 0n,
    log,
  });
  ledger.onWanted(() => hub.heartbeat());
  tail.subscribe((event) => {
    if (event.kind !== "reset" || event.reason !== "fork") return;
    renewStoreEpoch({ store, now, random }, event.head.storeEpoch).then(
      (epoch) => epoch && log.warn({ epoch }, "the store's history has forked: it has a new epoch"),
      (err: unknown) => log.error({ err }, "the store's history has forked, but it could not get a new epoch"),
    );
  });
  const tending = periodic(
    async (goOn) => {
      await tendChanges({ store, now }, goOn);
      await store.subscriptions.forgetUnseen(now() - subscriptionMemoryMs);
    },
    { what: "change log", intervalMs: tendIntervalMs, schedule, onRun, log },
  );
  return {
    hub,
    keySets: new SignedKeySets({ hub, schedule }),
    ledger,
    schedule,
    awaitApplied: (...wait) => awaitApplied({ store: store.subscriptions, ledger, now }, ...wait),
    tend: () => tending.run(),
    async stop() {
      await tending.stop();
      await ledger.stop();
    },
  };
}
