import { randomInt } from "node:crypto";
import { setImmediate as nextTurn } from "node:timers/promises";
import type { ChangeRow } from "../core/change.ts";
import { IchorError } from "../core/errors.ts";
import type { KeyId, TenantId } from "../core/ids.ts";
import { applyInTurns } from "../core/key-set/apply-in-turns.ts";
import { Feed, type Position } from "../core/key-set/feed.ts";
import {
  deltaOf,
  emptyDelta,
  type KeySetDelta,
  makesKeys,
  mergeDeltas,
  packIds,
} from "../core/key-set/key-set-delta.ts";
import { KeySetState } from "../core/key-set/key-set-state.ts";
import { publishedKeys } from "../core/signing-key.ts";
import type { Tenant } from "../core/tenant.ts";
import type { KeySetRecord, KeySetStore } from "../store/key-set-port.ts";
import type { Store } from "../store/port.ts";
import { namesOf, RecentChanges, recentNamesMax } from "./recent-changes.ts";
import type { Tail, TailEvent } from "./tail.ts";

/** Entries that are read of the store for who comes back late; a snapshot costs less than more of them. */
const replayedEntriesMax = 5_000;
const replayPageEntries = 250;
/** How often a feed is loaded again because the history changed while it was being loaded. */
const loadAttempts = 5;

/** What has changed since a position; or why that can't be told. */
export type Replay =
  | { readonly delta: KeySetDelta }
  | { readonly resync: "other_epoch" | "compacted" | "other_history" | "ahead" };

export interface FeedsDeps {
  readonly store: Pick<Store, "changesAfter"> & Pick<KeySetStore, "loadKeySet">;
  readonly tail: Pick<Tail, "position" | "subscribe" | "wake">;
}

/** The public feeds of tenants: loaded when first asked for, and kept up with the log until they are dropped. */
export class KeySetFeeds {
  readonly #deps: FeedsDeps;
  readonly #feeds = new Map<TenantId, Promise<PublicFeed | undefined>>();
  readonly #ready = new Map<TenantId, PublicFeed>();
  readonly #loading = new Set<PendingLoad>();
  /** Feeds that were read further than the tail had come. */
  readonly #ahead = new Set<PublicFeed>();
  readonly #recent = new RecentChanges();
  #history = 0;

  constructor(deps: FeedsDeps) {
    this.#deps = deps;
    deps.tail.subscribe((event) => this.#take(event));
  }

  /**
   * Calls `use` with the feed of a tenant, undefined if there is no such tenant, and gives what it gives. The feed is kept
   * up with the log during the call; whoever needs it for longer must see in the call that nobody drops it. Rejects with
   * STORE_UNAVAILABLE.
   */
  async open<T>(tenantId: TenantId, use: (feed: PublicFeed | undefined) => T): Promise<T> {
    for (;;) {
      const feed = await (this.#feeds.get(tenantId) ?? this.#begin(tenantId));
      // It may have been dropped, or its history ended, while this waited for its turn.
      if (feed === undefined || this.#ready.get(tenantId) === feed) return use(feed);
    }
  }

  /** Forgets a feed that nobody follows. */
  drop(feed: PublicFeed): void {
    this.#ahead.delete(feed);
    if (this.#ready.get(feed.tenant.id) !== feed) return;
    this.#ready.delete(feed.tenant.id);
    this.#feeds.delete(feed.tenant.id);
  }

  /**
   * Finds what a follower of the feed has missed that had come to `since`, up to where the feed stands then, and calls
   * `begin` with it while the feed still stands there: a follower that begins in the call misses nothing.
   */
  async join(feed: PublicFeed, since: Position, begin: (replay: Replay) => void): Promise<void> {
    const rows = this.#recent.from(since.revision) ?? (await this.#storedFrom(since.revision, feed.position.revision));
    const last = rows.at(-1);
    const reached = last?.revision ?? since.revision;
    const later = reached < feed.position.revision ? (this.#recent.from(reached) ?? []) : [];
    const [overlap] = later;
    // Joined where both have the same entry: two histories would make a third.
    if (last && overlap && Buffer.compare(last.hash, overlap.hash) !== 0) return begin({ resync: "other_history" });
    begin(this.#replay(feed, since, [...rows, ...later.filter(({ revision }) => revision > reached)]));
  }

  #replay(feed: PublicFeed, since: Position, rows: readonly ChangeRow[]): Replay {
    const to = feed.position;
    if (this.#ready.get(feed.tenant.id) !== feed || since.storeEpoch !== to.storeEpoch)
      return { resync: "other_epoch" };
    if (since.revision > to.revision) return { resync: "ahead" };
    const [first] = rows;
    if (since.revision > 0n) {
      if (first?.revision !== since.revision) return { resync: "compacted" };
      if (Buffer.compare(first.hash, since.hash) !== 0) return { resync: "other_history" };
    }
    const missed = rows.filter(({ revision }) => revision > since.revision && revision <= to.revision);
    if (BigInt(missed.length) !== to.revision - since.revision) return { resync: "compacted" };
    // What is known or read of the log may be of another history than the feed, for as long as the tail hasn't seen it.
    const { hash } = missed.at(-1) ?? since;
    if (Buffer.compare(hash, to.hash) !== 0) return { resync: "other_history" };
    return { delta: replayOf(feed, missed) };
  }

  #begin(tenantId: TenantId): Promise<PublicFeed | undefined> {
    const loading = this.#load(tenantId);
    this.#feeds.set(tenantId, loading);
    const forget = () => {
      if (this.#feeds.get(tenantId) === loading) this.#feeds.delete(tenantId);
    };
    loading.then((feed) => {
      if (feed === undefined) forget();
    }, forget);
    return loading;
  }

  /** Reads the state, and folds what was told meanwhile into it. */
  async #load(tenantId: TenantId): Promise<PublicFeed | undefined> {
    for (let attempt = 0; attempt < loadAttempts; attempt++) {
      const history = this.#history;
      const told = this.#deps.tail.position.revision;
      const pending: PendingLoad = { rows: [] };
      this.#loading.add(pending);
      try {
        const record = await this.#deps.store.loadKeySet(tenantId);
        if (record === undefined) return undefined;
        const state = await stateOf(record);
        // Less than what was told from it: another history, which the tail is about to see.
        if (record.head.revision < told) break;
        if (history !== this.#history || record.head.storeEpoch !== this.#deps.tail.position.storeEpoch) continue;
        const feed = new PublicFeed(record, state);
        if (pending.rows.some((row) => !feed.agrees(row))) break;
        for (const row of pending.rows) feed.take(row);
        this.#ready.set(tenantId, feed);
        if (record.head.revision > this.#deps.tail.position.revision) this.#ahead.add(feed);
        return feed;
      } finally {
        this.#loading.delete(pending);
      }
    }
    this.#deps.tail.wake();
    throw new IchorError("STORE_UNAVAILABLE", "the store's history has just changed", { retryAfterMs: 1_000 });
  }

  #take(event: TailEvent): void {
    if (event.kind === "reset") {
      this.#history++;
      this.#recent.clear();
      // Those that are being loaded see it themselves, and load again.
      const feeds = [...this.#ready.values()];
      for (const feed of feeds) this.drop(feed);
      for (const feed of feeds) feed.reset();
      return;
    }
    this.#recent.push(event.row);
    for (const pending of this.#loading) pending.rows.push(event.row);
    for (const feed of this.#ahead) this.#compare(feed, event.row);
    const { change } = event.row;
    if ("tenantId" in change) this.#ready.get(change.tenantId)?.take(event.row);
  }

  /** What was read ahead of the tail must be of the history that the tail then comes to. */
  #compare(feed: PublicFeed, row: ChangeRow): void {
    if (row.revision >= feed.position.revision) this.#ahead.delete(feed);
    if (feed.agrees(row)) return;
    this.drop(feed);
    feed.reset();
  }

  /** Entries from `since` on, itself included, as the store has them; none if they are too many, or name too much. */
  async #storedFrom(since: bigint, to: bigint): Promise<readonly ChangeRow[]> {
    if (to - since > BigInt(replayedEntriesMax)) return [];
    const rows: ChangeRow[] = [];
    let names = 0;
    let after = since === 0n ? 0n : since - 1n;
    for (;;) {
      const page = await this.#deps.store.changesAfter(after, replayPageEntries);
      for (const row of page) names += namesOf(row.change);
      if (names > recentNamesMax) return [];
      rows.push(...page);
      const last = page.at(-1);
      if (last === undefined || page.length < replayPageEntries) return rows;
      after = last.revision;
    }
  }
}

interface PendingLoad {
  readonly rows: ChangeRow[];
}

/** The public key set of one tenant. */
export class PublicFeed extends Feed {
  readonly tenant: Tenant;

  constructor({ head, tenant }: KeySetRecord, state: KeySetState) {
    super(state, head);
    this.tenant = tenant;
  }

  /** Whether an entry is of the feed's own history, as far as that can be told: it is where the feed stands. */
  agrees({ revision, hash }: ChangeRow): boolean {
    return revision !== this.position.revision || Buffer.compare(hash, this.position.hash) === 0;
  }

  /** Takes an entry of the log; those that the state was loaded with are none. */
  take({ revision, hash, change, commitTimeMs }: ChangeRow): void {
    const { storeEpoch, revision: before } = this.position;
    if (revision <= before || !("tenantId" in change) || change.tenantId !== this.tenant.id) return;
    const delta = deltaOf(change, commitTimeMs, (keyId) => this.state.markOf(keyId));
    if (delta !== undefined) this.change(delta, { revision, hash, storeEpoch });
  }
}

/** The state that a record tells; other work of the process has its turn meanwhile. */
async function stateOf(record: KeySetRecord): Promise<KeySetState> {
  const { markedKeys, marks, revokedTokens, signingKeys, tenant } = record;
  const state = new KeySetState(randomInt(2 ** 32), { marks: marks.length, tokens: revokedTokens.length / 16 });
  const all = {
    ...emptyDelta,
    markedKeys,
    marks,
    revokedTokens,
    signingKeys: publishedKeys(signingKeys),
    tenantDisabled: tenant.state === "DISABLED",
    issuedBeforeMs: tenant.tokensIssuedBeforeMs ?? 0,
  };
  await applyInTurns(state, all, nextTurn);
  return state;
}

/** What entries changed together. Marks are told as they are now, since a follower's earlier ones aren't known here. */
function replayOf({ state, tenant }: PublicFeed, rows: readonly ChangeRow[]): KeySetDelta {
  const touched = new Set<KeyId>();
  const deltas: KeySetDelta[] = [];
  for (const { change, commitTimeMs } of rows) {
    if (!("tenantId" in change) || change.tenantId !== tenant.id) continue;
    if (change.kind === "key" && !makesKeys(change.event)) for (const id of change.keyIds) touched.add(id);
    const delta = deltaOf(change, commitTimeMs, () => 0);
    if (delta !== undefined) deltas.push(delta);
  }
  const markedKeys = packIds([...touched]);
  const marks = Array.from({ length: touched.size }, (_, i) => state.markOf(markedKeys.subarray(i * 16, i * 16 + 16)));
  return { ...mergeDeltas(deltas), markedKeys, marks };
}
