import type { Feed, FeedEvent, Position } from "../core/key-set/feed.ts";
import type { KeySetDelta } from "../core/key-set/key-set-delta.ts";
import type { Frame } from "../rpc/frame.ts";
import { type Channel, eventFrame, type Follower } from "../subscribers/event-frame.ts";
import { keySetItemsToProto } from "../wire/key-set.ts";
import { snapshotEvents, type WatchEventInit } from "../wire/key-set-snapshot.ts";
import { toTimestamp } from "../wire/time.ts";
import { SharedSequence } from "./shared-sequence.ts";

/** A feed on the wire: each of its events is encoded once, whoever gets it. */
export class FeedChannel<F extends Feed = Feed> implements Channel {
  readonly name: string;
  readonly feed: F;
  /** How many streams need it. */
  holds = 0;
  readonly #asOfMs: () => number;
  readonly #followers = new Set<Follower>();
  readonly #stop: () => void;
  #snapshotItems: SharedSequence<Frame> | undefined;

  /** @param asOfMs when the last read of the log began that found no gap */
  constructor(name: string, feed: F, asOfMs: () => number) {
    this.name = name;
    this.feed = feed;
    this.#asOfMs = asOfMs;
    this.#stop = feed.follow((event) => this.#tell(event));
  }

  add(follower: Follower): void {
    this.#followers.add(follower);
  }

  remove(follower: Follower): void {
    this.#followers.delete(follower);
  }

  close(): void {
    this.#stop();
  }

  /** Tells that everything up to `to` is told. */
  heartbeat(to: Position, ackWanted: boolean): void {
    const from = this.feed.position;
    this.feed.advance(to);
    const frame = this.heartbeatFrame(from, ackWanted);
    for (const follower of this.#followers) follower.send(frame);
  }

  heartbeatFrame(from: Position, ackWanted: boolean): Frame {
    return eventFrame({
      case: "heartbeat",
      value: { ...this.#freshness(from), digest: this.feed.state.digest, ackWanted },
    });
  }

  /**
   * The feed as it is now, for who has nothing of it. Frames of items are made when they are sent, and kept until the feed
   * changes.
   */
  snapshot(): Iterable<Frame> {
    const { begin, items, end } = snapshotEvents(this.name, this.feed.state, this.feed.position, this.#asOfMs());
    this.#snapshotItems ??= new SharedSequence(framesOf(items()));
    return framesAround(eventFrame(begin), this.#snapshotItems, eventFrame(end));
  }

  /** What changed from a position of a follower's up to where the feed stands. */
  catchUp(from: Position, delta: KeySetDelta): Frame {
    return this.#deltaFrame(from, delta, this.feed.state.digest);
  }

  #tell(event: FeedEvent): void {
    this.#snapshotItems = undefined;
    if (event.kind === "reset") {
      for (const follower of [...this.#followers]) follower.reset();
      return;
    }
    const frame = this.#deltaFrame(event.from, event.delta, event.digest);
    for (const follower of this.#followers) follower.send(frame);
  }

  #deltaFrame(from: Position, delta: KeySetDelta, digest: Uint8Array): Frame {
    const items = keySetItemsToProto(delta);
    return eventFrame({ case: "delta", value: { ...this.#freshness(from), digest, items } });
  }

  #freshness(from: Position) {
    const { revision, hash } = this.feed.position;
    return { feed: this.name, prevRevision: from.revision, revision, hash, asOf: toTimestamp(this.#asOfMs()) };
  }
}

function* framesOf(events: Iterable<WatchEventInit>): Generator<Frame> {
  for (const event of events) yield eventFrame(event);
}

function* framesAround(begin: Frame, items: Iterable<Frame>, end: Frame): Generator<Frame> {
  yield begin;
  yield* items;
  yield end;
}
