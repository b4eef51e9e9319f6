import { IchorError } from "../core/errors.ts";
import type { KeyId, SubscriptionId } from "../core/ids.ts";
import type { StreamCall } from "../rpc/call.ts";
import { feedsOf, type WatchDraft } from "../subscribers/watch-draft.ts";
import type { SubscriptionBook } from "../subscribers/watch-key-set.ts";
import { publicFeed } from "../wire/key-set.ts";

/** Subscriptions that are remembered at a time, those included whose streams have ended lately. */
export const subscriptionsMax = 100_000;

interface Subscription {
  readonly keyId: KeyId;
  readonly feeds: readonly string[];
  readonly maxStalenessMs: number;
  ackedRevision: bigint;
  /** When its stream ended, by the monotonic clock; undefined: it is open. */
  endedMs: number | undefined;
}

export interface RelayBookDeps {
  /** A clock that only goes forward, in ms. */
  readonly monotonicMs: () => number;
}

/**
 * Who follows a relay, and how far they have come. What the relay acknowledges for itself is the least of that: so that a
 * revocation which waits for the relay waits for all behind it. Who is gone counts until it refuses by itself.
 */
export class RelayBook implements SubscriptionBook {
  readonly #deps: RelayBookDeps;
  readonly #subscriptions = new Map<SubscriptionId, Subscription>();
  /** Who was furthest behind when it was last looked; undefined: somebody else may be. */
  #last: SubscriptionId | undefined;
  #onRise: () => void = () => {};

  constructor(deps: RelayBookDeps) {
    this.#deps = deps;
  }

  /** How many streams are open. */
  get connected(): number {
    let count = 0;
    for (const { endedMs } of this.#subscriptions.values()) if (endedMs === undefined) count++;
    return count;
  }

  /** Called when `least` may have risen by what was acknowledged. */
  onRise(listener: () => void): void {
    this.#onRise = listener;
  }

  /** Throws TOO_MANY_STREAMS. */
  async open(id: SubscriptionId, draft: WatchDraft, { caller }: StreamCall): Promise<void> {
    const { replaces, maxStalenessMs } = draft;
    this.#forgetSilent();
    const replaced = replaces !== undefined && this.#subscriptions.get(replaces)?.keyId === caller.keyId;
    if (!replaced && this.#subscriptions.size >= subscriptionsMax) {
      throw new IchorError("TOO_MANY_STREAMS", "too many follow this relay, or did lately", { retryAfterMs: 1_000 });
    }
    const { keyId } = caller;
    // First the new one: at no time does nobody stand for the client.
    this.#subscriptions.set(id, {
      keyId,
      feeds: feedsOf(draft),
      maxStalenessMs,
      ackedRevision: 0n,
      endedMs: undefined,
    });
    if (replaced) this.#subscriptions.delete(replaces);
    this.#last = undefined;
  }

  async disconnected(id: SubscriptionId): Promise<void> {
    const known = this.#subscriptions.get(id);
    if (known !== undefined) known.endedMs = this.#deps.monotonicMs();
  }

  async acknowledge(id: SubscriptionId, keyId: KeyId, feed: string, revision: bigint): Promise<void> {
    const known = this.#of(id, keyId, feed);
    if (feed !== publicFeed || revision <= known.ackedRevision) return;
    known.ackedRevision = revision;
    if (this.#last === undefined || this.#last === id) this.#onRise();
  }

  async leave(id: SubscriptionId, keyId: KeyId): Promise<void> {
    this.#of(id, keyId, publicFeed);
    this.#subscriptions.delete(id);
    this.#last = undefined;
    this.#onRise();
  }

  /** Up to which revision everyone has surely come who may still answer, if who asks has come to `applied`. */
  least(applied: bigint): bigint {
    this.#forgetSilent();
    let least = applied;
    this.#last = undefined;
    for (const [id, { ackedRevision }] of this.#subscriptions) {
      if (ackedRevision >= least) continue;
      least = ackedRevision;
      this.#last = id;
    }
    return least;
  }

  /** The history is another one: what was acknowledged of the former says nothing of it. */
  beginAnew(): void {
    for (const subscription of this.#subscriptions.values()) subscription.ackedRevision = 0n;
  }

  #of(id: SubscriptionId, keyId: KeyId, feed: string): Subscription {
    const known = this.#subscriptions.get(id);
    if (known?.keyId === keyId && known.feeds.includes(feed)) return known;
    throw new IchorError("SUBSCRIPTION_NOT_FOUND", "no subscription of this id and feed by this credential");
  }

  /** Who heard nothing for longer than it goes on with what it knows. */
  #forgetSilent(): void {
    const nowMs = this.#deps.monotonicMs();
    for (const [id, { endedMs, maxStalenessMs }] of this.#subscriptions) {
      if (endedMs === undefined || nowMs - endedMs <= maxStalenessMs) continue;
      this.#subscriptions.delete(id);
      if (this.#last === id) this.#last = undefined;
    }
  }
}
