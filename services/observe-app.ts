import type { Tail } from "./changes/tail.ts";
import type { WakeUps } from "./changes/wake-ups.ts";
import type { TokenFormat } from "./core/api-key.ts";
import type { Verification } from "./core/verification-outcome.ts";
import type { KeySetHub } from "./derivation/key-set-hub.ts";
import type { Limits } from "./limits/open-limits.ts";
import type { Store } from "./store/port.ts";
import type { Metrics } from "./telemetry/metrics.ts";
import type { RecordCache } from "./verification/record-cache.ts";
import type { UseRecorder } from "./verification/use-recorder.ts";

/** The parts of a server that keep counts of their own. */
export interface ObservedParts {
  readonly store: Pick<Store, "onCommit" | "activity">;
  readonly wakeUps: Pick<WakeUps, "tally">;
  readonly tail: Tail;
  readonly records: RecordCache;
  readonly use: UseRecorder;
  readonly hub: KeySetHub;
  readonly limits: Pick<Limits, "shared">;
  readonly slots: { readonly taken: number };
  readonly failures: { readonly waiting: number };
}

/** Lets metrics read what the parts of a server count and keep anyway. */
export function observeApp(
  metrics: Metrics,
  { store, wakeUps, tail, records, use, hub, limits, slots, failures }: ObservedParts,
): void {
  const commits = metrics.count("ichor.store.commits", {});
  store.onCommit(() => void commits.value++);
  const { activity } = store;
  if (activity !== undefined) {
    metrics.observe("ichor.store.retries", {}, () => activity.retries);
    metrics.observe("db.client.connection.count", { state: "used" }, () => activity.connections().used);
    metrics.observe("db.client.connection.count", { state: "idle" }, () => activity.connections().idle);
    metrics.observe("db.client.connection.pending_requests", {}, () => activity.connections().waiting);
  }

  const { tally } = wakeUps;
  if (tally.connected !== undefined) {
    metrics.observe("ichor.wake_ups.connected", {}, () => Number(tally.connected));
    metrics.observe("ichor.wake_ups", { "ichor.direction": "sent" }, () => tally.sent);
    metrics.observe("ichor.wake_ups", { "ichor.direction": "heard" }, () => tally.heard);
  }

  metrics.observe("ichor.log.revision", {}, () => Number(tail.revision));
  metrics.observe("ichor.log.lag", {}, () => Number(tail.lag));
  metrics.observe("ichor.log.age", {}, () => tail.ageMs() / 1_000);
  const resets = metrics.counts("ichor.log.resets");
  for (const reason of ["fork", "store_epoch", "compacted"]) resets(reason);
  tail.subscribe((event) => event.kind === "reset" && resets(event.reason).value++);

  for (const [cache, kept] of Object.entries(records.caches)) {
    metrics.observe("ichor.cache.size", { "ichor.cache": cache }, () => kept.bytes);
    for (const result of ["hit", "miss", "bypass"] as const) {
      const attributes = { "ichor.cache": cache, "ichor.result": result };
      metrics.observe("ichor.cache.reads", attributes, () => kept.reads[result]);
    }
  }

  metrics.observe("ichor.use.waiting", {}, () => use.waitingKeys);
  for (const outcome of ["ok", "failed"] as const)
    metrics.observe("ichor.use.flushes", { "ichor.outcome": outcome }, () => use.flushes[outcome]);

  metrics.observe("ichor.lookups.waiting", {}, () => failures.waiting);
  metrics.observe("ichor.calls.waiting", {}, () => slots.taken);
  metrics.observe("ichor.limits.shared", {}, () => {
    const shared = limits.shared();
    return shared === undefined ? undefined : Number(shared);
  });

  metrics.observe("ichor.stream.subscribers", {}, () => hub.subscribers.size);
  metrics.observe("ichor.stream.messages", {}, () => hub.tally.messages);
  for (const reason of hub.tally.resyncs.keys())
    metrics.observe("ichor.stream.resyncs", { "ichor.reason": reason }, () => hub.tally.resyncs.get(reason));
}

/** Counts answers of verifications by code and kind; texts that are no credential have none. */
export function countVerifications(metrics: Metrics): (verification: Pick<Verification, "code" | "kind">) => void {
  const counts = metrics.counts("ichor.verifications");
  return ({ code, kind }) => void counts(code, kind ?? "NONE").value++;
}

/** Counts derived tokens. */
export function countDerived(metrics: Metrics): (format: TokenFormat) => void {
  const counts = metrics.counts("ichor.tokens.derived");
  return (format) => void counts(format).value++;
}
