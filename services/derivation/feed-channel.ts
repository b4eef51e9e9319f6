import { contentHashOf } from "../core/key-set/content-hash.ts";
import type { Feed, FeedEvent, Position } from "../core/key-set/feed.ts";
import type { FeedSignature, FeedStatement } from "../core/key-set/feed-statement.ts";
import type { KeySetDelta } from "../core/key-set/key-set-delta.ts";
import type { EndListener } from "../rpc/call.ts";
import type { Frame } from "../rpc/frame.ts";
import { type Channel, eventFrame, type Follower } from "../subscribers/event-frame.ts";
import { keySetItemsToProto } from "../wire/key-set.ts";
import { snapshotEvents } from "../wire/key-set-snapshot.ts";
import { toTimestamp } from "../wire/time.ts";
import { SnapshotFrames, SnapshotParts } from "./snapshot-frames.ts";

/** Frames for who comes back that are kept for others who come from the same place, at most. */
const keptFramesMax = 64;

/** Signs for the issuer and tenant of a feed. */
export type SignEvent = (statement: Omit<FeedStatement, "issuer" | "tenantId">) => FeedSignature | undefined;

/** A feed on the wire: each of its events is encoded and signed once, whoever gets it. */
export class FeedChannel<F extends Feed = Feed> implements Channel, EndListener<unknown> {
  readonly name: string;
  readonly feed: F;
  /** How many streams need it. */
  holds = 0;
  readonly #asOfMs: () => number;
  readonly #sign: SignEvent;
  readonly #followers = new Set<Follower>();
  readonly #onLeft: () => void;
  readonly #stop: () => void;
  #parts: SnapshotParts | undefined;
  /** Made for who comes to the feed where it stands; by what they are, and as of when. */
  readonly #kept = new Map<string, Iterable<Frame>>();

  /**
   * @param asOfMs when the last read of the log began that found no gap
   * @param onLeft called when a stream that needed it has ended
   */
  constructor(name: string, feed: F, asOfMs: () => number, sign: SignEvent, onLeft: () => void) {
    this.name = name;
    this.feed = feed;
    this.#asOfMs = asOfMs;
    this.#sign = sign;
    this.#onLeft = onLeft;
    this.#stop = feed.follow((event) => this.#tell(event));
  }

  add(follower: Follower): void {
    this.#followers.add(follower);
  }

  remove(follower: Follower): void {
    this.#followers.delete(follower);
  }

  ended(): void {
    this.holds--;
    this.#onLeft();
  }

  close(): void {
    this.#stop();
  }

  /** Tells that everything up to `to` is told. */
  heartbeat(to: Position, ackWanted: boolean): void {
    const from = this.feed.position;
    this.feed.advance(to);
    this.#kept.clear();
    const frame = this.#heartbeatFrame(from, ackWanted);
    for (const follower of this.#followers) follower.send(frame);
  }

  /**
   * The feed as it is now, for who has nothing of it. Frames of items are made when they are sent, and kept until the feed
   * changes.
   */
  snapshot(): Iterable<Frame> {
    return this.#keep("snapshot", (asOfMs) => {
      const { name: feed } = this;
      const { state, position } = this.feed;
      const { digest } = state;
      const { begin, parts, end } = snapshotEvents(feed, state, position, asOfMs);
      this.#parts ??= new SnapshotParts(feed, parts());
      const sign = (contentHash: Uint8Array) =>
        this.#sign({ ...position, kind: "snapshot", feed, prevRevision: 0n, digest, asOfMs, contentHash });
      return new SnapshotFrames(eventFrame(begin), this.#parts, (content) => eventFrame(end, sign(content)));
    });
  }

  /** What changed from a position of a follower's up to where the feed stands, and how fresh that is. */
  catchUp(from: Position, delta: KeySetDelta): Iterable<Frame> {
    return this.#keep(`${from.revision} ${Buffer.from(from.hash).toString("hex")}`, () => [
      this.#deltaFrame(from, delta, this.feed.state.digest),
      this.#heartbeatFrame(this.feed.position, false),
    ]);
  }

  #tell(event: FeedEvent): void {
    this.#parts = undefined;
    this.#kept.clear();
    if (event.kind === "reset") {
      for (const follower of [...this.#followers]) follower.reset();
      return;
    }
    const frame = this.#deltaFrame(event.from, event.delta, event.digest);
    for (const follower of this.#followers) follower.send(frame);
  }

  #heartbeatFrame(from: Position, ackWanted: boolean): Frame {
    const { value, signed } = this.#signed("heartbeat", from, this.feed.state.digest);
    return eventFrame({ case: "heartbeat", value: { ...value, ackWanted } }, signed);
  }

  #deltaFrame(from: Position, delta: KeySetDelta, digest: Uint8Array): Frame {
    const { value, signed } = this.#signed("delta", from, digest, delta);
    return eventFrame({ case: "delta", value: { ...value, items: keySetItemsToProto(delta) } }, signed);
  }

  /** Where the feed stands and came from, as it is told, and the signature of that. */
  #signed(kind: "delta" | "heartbeat", from: Position, digest: Uint8Array, delta?: KeySetDelta) {
    const { revision, hash, storeEpoch } = this.feed.position;
    const asOfMs = this.#asOfMs();
    const told = { feed: this.name, prevRevision: from.revision, revision, hash, digest };
    const signed = this.#sign({ ...told, kind, storeEpoch, asOfMs, contentHash: contentHashOf(delta) });
    return { value: { ...told, asOf: toTimestamp(asOfMs) }, signed };
  }

  /** Gives what was made for another who came to the same place at the same moment. */
  #keep(what: string, make: (asOfMs: number) => Iterable<Frame>): Iterable<Frame> {
    const asOfMs = this.#asOfMs();
    const name = `${asOfMs} ${what}`;
    const kept = this.#kept.get(name) ?? make(asOfMs);
    if (this.#kept.size < keptFramesMax) this.#kept.set(name, kept);
    return kept;
  }
}
