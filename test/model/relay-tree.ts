import type { WatchKeySetResponse } from "../../gen/ichor/v1/key_set_pb.ts";
import { type KeyId, newId, type SubscriptionId } from "../../services/core/ids.ts";
import type { StreamCall } from "../../services/rpc/call.ts";
import type { Frame } from "../../services/rpc/frame.ts";
import { RelayHub } from "../../services/sidecar/relay-hub.ts";
import { eventFrame } from "../../services/subscribers/event-frame.ts";
import { StreamTally } from "../../services/subscribers/stream-tally.ts";
import { Subscriber } from "../../services/subscribers/subscriber.ts";
import type { WatchDraft } from "../../services/subscribers/watch-draft.ts";
import type { SubscriptionBook, WatchOrder } from "../../services/subscribers/watch-key-set.ts";
import { FeedReplica, ServerBehind } from "../../services/verifier/replica.ts";
import { toTimestamp } from "../../services/wire/time.ts";
import { seededRandom } from "../fakes/random.ts";
import { tenantId, WaitServer, type WaitStore, type WorldTime } from "./wait-world.ts";

const ids = seededRandom("relay tree");
const storeEpoch = "e".repeat(32);
const digest = new Uint8Array(32);

/** A fault that is planted. */
export interface TreeFault {
  /** A relay acknowledges what it has applied itself. */
  readonly relaySpeaksForItself?: boolean;
  /** A relay forgets who is gone at once. */
  readonly relayForgets?: boolean;
  /** A relay doesn't say that what it repeats is of the past. */
  readonly noCatchUp?: boolean;
  /** A relay takes those in, too, who trust what they know for longer than it does. */
  readonly admitsLonger?: boolean;
  /** A relay that is started again replaces the subscription of before. */
  readonly restartReplaces?: boolean;
}

/** What can be followed. */
export interface TreeSource {
  readonly book: SubscriptionBook;
  /** The longest that its followers may trust what they know, in ms. */
  readonly maxStalenessMs: number;
  begin(subscriber: Subscriber, order: WatchOrder): Promise<void>;
}

function hashOf(revision: bigint): Uint8Array {
  const hash = Buffer.alloc(32);
  hash.writeBigUInt64BE(revision);
  return hash;
}

/** A server whose feed has nothing but revisions: what it tells is how far it is, and as of when. */
export class TreeServer extends WaitServer implements TreeSource {
  readonly maxStalenessMs = Number.POSITIVE_INFINITY;
  readonly #followers = new Set<Subscriber>();
  readonly #time: WorldTime;
  #told = 0n;

  readonly book: SubscriptionBook = {
    open: (id, draft, { caller }) => {
      const { maxStalenessMs, onStale, clientVersion, replaces } = draft;
      const nowMs = this.#time.now();
      const subscription = {
        id,
        tenantId,
        keyId: caller.keyId,
        serverId: this.id,
        feeds: ["public"],
        clientVersion,
        address: "",
      };
      const times = { createTimeMs: nowMs, seenTimeMs: nowMs, ackedRevision: 0n };
      return this.ledger.open({ ...subscription, ...times, maxStalenessMs, onStale }, replaces);
    },
    disconnected: (id) => this.ledger.disconnected(id),
    acknowledge: (...said) => this.ledger.acknowledge(...said),
    leave: (...who) => this.ledger.leave(...who),
  };

  constructor(id: string, store: WaitStore, time: WorldTime) {
    super(id, store, time, {});
    this.#time = time;
    this.#told = this.revision;
  }

  override look(): void {
    super.look();
    if (this.cutOff) return;
    const frame = this.#heartbeat(this.#told);
    this.#told = this.revision;
    for (const follower of this.#followers) follower.send(frame);
  }

  async begin(subscriber: Subscriber, { resume }: WatchOrder): Promise<void> {
    if (resume !== undefined && resume.revision <= this.#told)
      subscriber.send(this.#heartbeat(resume.revision, this.#told));
    else {
      const at = { feed: "public", revision: this.#told };
      const counts = { markCount: 0n, revokedTokenCount: 0n };
      subscriber.send(eventFrame({ case: "snapshotBegin", value: { ...at, ...counts, storeEpoch } }));
      const end = { ...at, hash: hashOf(this.#told), digest, asOf: toTimestamp(this.asOfMs) };
      subscriber.send(eventFrame({ case: "snapshotEnd", value: end }));
    }
    this.#followers.add(subscriber);
    subscriber.onEnd({ ended: () => void this.#followers.delete(subscriber) });
  }

  #heartbeat(prevRevision: bigint, revision = this.revision): Frame {
    const value = { feed: "public", prevRevision, revision, hash: hashOf(revision), digest };
    return eventFrame({ case: "heartbeat", value: { ...value, asOf: toTimestamp(this.asOfMs) } });
  }
}

interface Line {
  readonly source: TreeSource;
  readonly id: SubscriptionId;
  readonly subscriber: Subscriber;
  readonly frames: Frame[];
}

/** A verifier: applies what it is told, and answers as long as that is fresh enough. */
export class TreeVerifier {
  readonly maxStalenessMs: number;
  readonly replica: FeedReplica;
  protected line: Line | undefined;
  #lastId: SubscriptionId | undefined;
  readonly #keyId: KeyId;
  readonly #time: WorldTime;
  readonly #fault: TreeFault;

  constructor(time: WorldTime, maxStalenessMs: number, fault: TreeFault, before?: TreeVerifier) {
    this.#time = time;
    this.#fault = fault;
    this.maxStalenessMs = maxStalenessMs;
    this.replica = new FeedReplica("public", { now: time.now, monotonicMs: time.now, schedule: time.schedule });
    // It is the same one to whom it subscribes.
    this.#keyId = before === undefined ? newId("key", 0, ids(10)) : before.#keyId;
    if (fault.restartReplaces === true && before !== undefined) this.#lastId = before.#lastId;
  }

  get connected(): boolean {
    return this.line !== undefined;
  }

  follows(source: TreeSource): boolean {
    return this.line?.source === source;
  }

  get applied(): bigint {
    return this.replica.position?.revision ?? 0n;
  }

  /** Whether it would let a token pass that was revoked in `revision`. */
  mayMiss(revision: bigint): boolean {
    if (this.replica.position === undefined || this.applied >= revision) return false;
    return this.replica.freshness.ageMs() <= this.maxStalenessMs;
  }

  /** Subscribes: what is told comes by a line that it reads when it does. */
  async connect(source: TreeSource): Promise<void> {
    const { maxStalenessMs, replica } = this;
    if (maxStalenessMs > source.maxStalenessMs && !this.#fault.admitsLonger) return;
    const id = newId("sub", this.#time.now(), ids(10)) as SubscriptionId;
    const call = { caller: { keyId: this.#keyId, tenantId }, recheck: async () => {} } as unknown as StreamCall;
    const frames: Frame[] = [];
    const sink = { bufferedBytes: 0, write: (frame: Frame) => void frames.push(frame), drained: async () => {} };
    const deps = { schedule: this.#time.schedule, tally: new StreamTally() };
    const subscriber = new Subscriber(id, call, sink, deps);
    const resume = replica.resumePoint;
    const draft: WatchDraft = {
      audiences: [],
      resume,
      maxStalenessMs,
      onStale: "DENY",
      clientVersion: "",
      replaces: this.#lastId,
    };
    try {
      await source.book.open(id, draft, call);
    } catch {
      return;
    }
    this.#lastId = id;
    this.line = { source, id, subscriber, frames };
    replica.streamBegins();
    this.begun();
    // It may wait for what only passing time brings.
    void source.begin(subscriber, { tenantId, audiences: [], resume });
  }

  /** Applies at most so many of the events that wait, and calls `check` after each. */
  async read(most: number, check: () => void): Promise<void> {
    for (let i = 0; i < most; i++) {
      const message = this.line?.frames.shift()?.message as WatchKeySetResponse | undefined;
      if (message === undefined) return;
      const { event } = message;
      if (event.case === "catchUp" && this.#fault.noCatchUp) continue;
      try {
        if (event.case === "resyncRequired") this.replica.forgetPosition();
        else await this.replica.take({ event });
      } catch (error) {
        if (!(error instanceof ServerBehind)) throw error;
        return this.cut();
      }
      this.told(message);
      check();
    }
  }

  /** Says how far it has come. */
  async acknowledge(): Promise<void> {
    const { line } = this;
    if (line === undefined || this.applied === 0n) return;
    await line.source.book.acknowledge(line.id, this.#keyId, "public", this.acknowledged()).catch(() => {});
  }

  /** The line breaks: nothing comes any more. Its other end may see that now, or when the function is called that is given. */
  cut(later?: (notice: () => void) => void): void {
    const { line } = this;
    this.line = undefined;
    if (line === undefined) return;
    const notice = () => {
      line.subscriber.close();
      void line.source.book.disconnected(line.id);
    };
    if (later === undefined) notice();
    else later(notice);
  }

  protected acknowledged(): bigint {
    return this.applied;
  }

  protected begun(): void {}

  protected told(_message: WatchKeySetResponse): void {}
}

/** A relay: passes on what it applies. */
export class TreeRelay extends TreeVerifier implements TreeSource {
  readonly hub: RelayHub;
  readonly #speaksForItself: boolean;
  readonly #forgets: boolean;

  constructor(time: WorldTime, maxStalenessMs: number, fault: TreeFault, before?: TreeRelay) {
    super(time, maxStalenessMs, fault, before);
    this.#forgets = fault.relayForgets === true;
    this.#speaksForItself = fault.relaySpeaksForItself === true;
    const { now, schedule } = time;
    const drain = new AbortController().signal;
    this.hub = new RelayHub({ feeds: ["public"], drain, monotonicMs: now, schedule, jitter: () => 0 });
  }

  get book(): SubscriptionBook {
    const { book } = this.hub;
    if (!this.#forgets) return book;
    return {
      open: (id, draft, call) => book.open(id, { ...draft, maxStalenessMs: 0 }, call),
      disconnected: (id) => book.disconnected(id),
      acknowledge: (...said) => book.acknowledge(...said),
      leave: (...who) => book.leave(...who),
    };
  }

  async begin(subscriber: Subscriber, order: WatchOrder): Promise<void> {
    await this.hub.begin(subscriber, order);
  }

  protected override acknowledged(): bigint {
    return this.#speaksForItself ? this.applied : this.hub.least(this.applied);
  }

  protected override begun(): void {
    this.hub.streamBegins();
  }

  protected override told(message: WatchKeySetResponse): void {
    this.hub.told(message);
  }
}
