import { WatchKeySetResponseSchema } from "../../gen/ichor/v1/key_set_pb.ts";
import type { Feed, FeedEvent, Position } from "../core/key-set/feed.ts";
import { emptyDelta, type KeySetDelta } from "../core/key-set/key-set-delta.ts";
import type { KeySetState } from "../core/key-set/key-set-state.ts";
import { Frame } from "../rpc/frame.ts";
import { keySetItemsToProto } from "../wire/key-set.ts";
import { toTimestamp } from "../wire/time.ts";

/** Marks and revoked tokens in one message of a snapshot: about 1 MiB, well below the 4 MB of gRPC clients. */
export const snapshotItemsMax = 65_536;

type EventInit = NonNullable<Parameters<typeof Frame.of<typeof WatchKeySetResponseSchema>>[1]["event"]>;

/** Who gets what a channel tells. */
export interface Follower {
  send(frame: Frame): void;
  /** The feed has ended: it must begin anew. */
  reset(): void;
}

/** A feed on the wire: each of its events is encoded once, whoever gets it. */
export class FeedChannel<F extends Feed = Feed> {
  readonly name: string;
  readonly feed: F;
  /** How many streams need it. */
  holds = 0;
  /** Whether its feed has ended. */
  ended = false;
  readonly #asOfMs: () => number;
  readonly #followers = new Set<Follower>();
  readonly #stop: () => void;
  #snapshotItems: readonly Frame[] | undefined;

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

  /** The feed as it is, for who has nothing of it. Frames of items are kept until the feed changes. */
  snapshot(): readonly Frame[] {
    const { name: feed } = this;
    const { state, position } = this.feed;
    const { revision, hash } = position;
    const counts = { markCount: BigInt(state.markCount), revokedTokenCount: BigInt(state.tokenCount) };
    this.#snapshotItems ??= itemFrames(feed, state);
    const end = { feed, revision, hash, digest: state.digest, asOf: toTimestamp(this.#asOfMs()) };
    return [
      eventFrame({ case: "snapshotBegin", value: { feed, revision, ...counts } }),
      ...this.#snapshotItems,
      eventFrame({ case: "snapshotEnd", value: end }),
    ];
  }

  /** What changed from a position of a follower's up to where the feed stands. */
  catchUp(from: Position, delta: KeySetDelta): Frame {
    return this.#deltaFrame(from, delta, this.feed.state.digest);
  }

  #tell(event: FeedEvent): void {
    this.#snapshotItems = undefined;
    if (event.kind === "reset") {
      this.ended = true;
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

/** Encodes an event of the stream. */
export function eventFrame(event: EventInit): Frame {
  return Frame.of(WatchKeySetResponseSchema, { event });
}

function itemFrames(feed: string, state: KeySetState): readonly Frame[] {
  const { signingKeys, audienceKeys, tenantDisabled, issuedBeforeMs } = state;
  const marked = collect(state.markCount, (visit) => state.forEachMark(visit));
  const revoked = collect(state.tokenCount, (visit) => state.forEachRevokedToken((id) => visit(id, 1)));
  const deltas: readonly KeySetDelta[] = [
    ...pages(marked.ids).map(({ ids, from, to }) => ({ markedKeys: ids, marks: marked.values.slice(from, to) })),
    ...pages(revoked.ids).map(({ ids }) => ({ revokedTokens: ids })),
    { signingKeys, audienceKeys, tenantDisabled, issuedBeforeMs },
  ].map((part) => ({ ...emptyDelta, ...part }));
  return deltas.map((delta) =>
    eventFrame({ case: "snapshotItems", value: { feed, items: keySetItemsToProto(delta) } }),
  );
}

/** Packs ids, with a number each. */
function collect(count: number, forEach: (visit: (id: Uint8Array, value: number) => void) => void) {
  const ids = new Uint8Array(count * 16);
  const values: number[] = [];
  forEach((id, value) => {
    ids.set(id, values.length * 16);
    values.push(value);
  });
  return { ids, values };
}

function pages(ids: Uint8Array) {
  const count = ids.length / 16;
  return Array.from({ length: Math.ceil(count / snapshotItemsMax) }, (_, page) => {
    const from = page * snapshotItemsMax;
    const to = Math.min(from + snapshotItemsMax, count);
    return { from, to, ids: ids.subarray(from * 16, to * 16) };
  });
}
