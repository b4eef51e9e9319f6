import type { WatchKeySetResponse } from "../../gen/ichor/v1/key_set_pb.ts";
import { newId, type SubscriptionId } from "../../services/core/ids.ts";
import type { Position } from "../../services/core/key-set/feed.ts";
import type { KeySetHub } from "../../services/derivation/key-set-hub.ts";
import type { StreamCall } from "../../services/rpc/call.ts";
import type { Frame } from "../../services/rpc/frame.ts";
import { RelayHub } from "../../services/sidecar/relay-hub.ts";
import { StreamTally } from "../../services/subscribers/stream-tally.ts";
import { Subscriber } from "../../services/subscribers/subscriber.ts";
import { FeedReplica, ResyncNeeded, ServerBehind } from "../../services/verifier/replica.ts";
import { seededRandom } from "../fakes/random.ts";
import { FakeVerifierClock } from "../fakes/verifier-clock.ts";
import { difference, type Truth, tenantId } from "./key-set-world.ts";

const ids = seededRandom("subscribers");

/** A fault in what a subscriber was told, or had to conclude. */
export class ContractBroken extends Error {}

/** A server, or a relay. */
export interface WorldSource {
  readonly hub: { begin: KeySetHub["begin"] };
}

/** A verifier's replica, connected to a server of the world by a line that the world delays. */
export class WorldSubscriber {
  readonly replica = new FeedReplica("public", new FakeVerifierClock(0));
  #line: { readonly subscriber: Subscriber; readonly frames: Frame[]; over: boolean } | undefined;
  #reached = new Map<string, bigint>();
  readonly #truthAt: (position: Position) => Truth | undefined;

  /** @param truthAt what was true at a position; undefined: there never was such a revision */
  constructor(truthAt: (position: Position) => Truth | undefined) {
    this.#truthAt = truthAt;
  }

  get connected(): boolean {
    return this.#line !== undefined;
  }

  connect(source: WorldSource): void {
    const frames: Frame[] = [];
    const call = { caller: { keyId: "key_x", tenantId }, recheck: async () => {} } as unknown as StreamCall;
    const sink = { bufferedBytes: 0, write: (frame: Frame) => void frames.push(frame), drained: async () => {} };
    const id = newId("sub", 0, ids(10)) as SubscriptionId;
    const subscriber = new Subscriber(id, call, sink, { schedule: () => () => {}, tally: new StreamTally() });
    const line = { subscriber, frames, over: false };
    this.#line = line;
    const order = { tenantId, audiences: [], resume: this.resumePoint };
    this.begun();
    subscriber.onEnd({
      ended() {
        line.over = true;
      },
    });
    source.hub.begin(subscriber, order).catch(() => subscriber.close());
  }

  protected get resumePoint(): Position | undefined {
    return this.replica.resumePoint;
  }

  /** A stream begins. */
  protected begun(): void {
    this.replica.streamBegins();
  }

  /** An event was applied; false: the stream must end. */
  protected told(_message: WatchKeySetResponse): boolean {
    return true;
  }

  disconnect(): void {
    this.#line?.subscriber.close();
    this.#line = undefined;
  }

  /** Applies at most so many of the events that wait; then notices that the stream is over. */
  async read(most: number, spoil?: (frames: Frame[]) => void): Promise<void> {
    const line = this.#line;
    if (line === undefined) return;
    spoil?.(line.frames);
    for (let i = 0; i < most && line.frames.length > 0; i++) {
      const message = (line.frames.shift() as Frame).message as WatchKeySetResponse;
      if (!(await this.#take(message.event)) || !this.told(message)) return this.disconnect();
    }
    if (line.over && line.frames.length === 0) this.disconnect();
  }

  async #take(event: WatchKeySetResponse["event"]): Promise<boolean> {
    if (event.case === "resyncRequired") {
      this.replica.forgetPosition();
      return event.value.snapshotFollows;
    }
    if (event.case === "drain") return false;
    try {
      await this.replica.take({ event });
    } catch (error) {
      if (error instanceof ServerBehind) return false;
      if (!(error instanceof ResyncNeeded)) throw error;
      // A server never sends what its followers can't go on from.
      throw new ContractBroken(error.message);
    }
    this.#check(event.case);
    return true;
  }

  #check(kind: string | undefined): void {
    if (kind !== "snapshotEnd" && kind !== "delta" && kind !== "heartbeat") return;
    const position = this.replica.position as Position;
    const before = this.#reached.get(position.storeEpoch) ?? 0n;
    if (position.revision < before) throw new ContractBroken(`from revision ${before} back to ${position.revision}`);
    this.#reached.set(position.storeEpoch, position.revision);
    const truth = this.#truthAt(position);
    if (truth === undefined) throw new ContractBroken(`revision ${position.revision} never was`);
    const fault = difference(truth, this.replica.state);
    if (fault !== undefined) throw new ContractBroken(`at revision ${position.revision}: ${fault}`);
  }
}

/** A relay: what it is told it passes on, at once, as it came. */
export class WorldRelay extends WorldSubscriber implements WorldSource {
  readonly drain = new AbortController();
  #waits: (() => void)[] = [];
  readonly hub = new RelayHub({
    feeds: ["public"],
    drain: this.drain.signal,
    monotonicMs: () => 0,
    jitter: () => 0,
    schedule: (callback, delayMs) => {
      if (delayMs <= 1_000) this.#waits.push(callback);
      return () => {
        this.#waits = this.#waits.filter((other) => other !== callback);
      };
    },
    sinceBytesLeast: 1_500,
  });

  /** Lets time pass for those who wait for it to catch up. */
  giveUpWaits(): void {
    for (const wait of [...this.#waits]) wait();
  }

  protected override get resumePoint(): Position | undefined {
    return this.hub.lacks("public") ? undefined : super.resumePoint;
  }

  protected override begun(): void {
    super.begun();
    this.hub.streamBegins();
  }

  protected override told(message: WatchKeySetResponse): boolean {
    this.hub.told(message);
    const { event } = message;
    return !((event.case === "delta" || event.case === "heartbeat") && this.hub.lacks("public"));
  }
}
