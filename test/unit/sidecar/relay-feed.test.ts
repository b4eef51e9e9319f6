import { create } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { ResyncReason, type WatchKeySetResponse, WatchKeySetResponseSchema } from "../../../gen/ichor/v1/key_set_pb.ts";
import { newId, type SubscriptionId } from "../../../services/core/ids.ts";
import type { StreamCall } from "../../../services/rpc/call.ts";
import type { Frame } from "../../../services/rpc/frame.ts";
import { RelayFeed } from "../../../services/sidecar/relay-feed.ts";
import { StreamTally } from "../../../services/subscribers/stream-tally.ts";
import { bufferedBytesMax, Subscriber } from "../../../services/subscribers/subscriber.ts";
import type { WatchEventInit } from "../../../services/wire/key-set-snapshot.ts";
import { seededRandom } from "../../fakes/random.ts";

const storeEpoch = "e".repeat(32);
const hash = (revision: bigint) => new Uint8Array(32).fill(Number(revision));
const ids = seededRandom("relay feed");

const message = (event: WatchEventInit, feedKeyId = "k1") => create(WatchKeySetResponseSchema, { event, feedKeyId });
const heartbeat = (prevRevision: bigint, revision: bigint, feedKeyId?: string) =>
  message({ case: "heartbeat", value: { feed: "public", prevRevision, revision, hash: hash(revision) } }, feedKeyId);
const snapshot = (revision: bigint, feedKeyId?: string) => [
  message({ case: "snapshotBegin", value: { feed: "public", revision, storeEpoch } }, feedKeyId),
  message({ case: "snapshotEnd", value: { feed: "public", revision, hash: hash(revision) } }, feedKeyId),
];

function feedOf(...messages: readonly WatchKeySetResponse[]): RelayFeed {
  const feed = new RelayFeed("public");
  for (const one of messages) feed.take(one);
  return feed;
}

const told = (frames: Iterable<Frame>) =>
  Array.from(frames, (frame) => {
    const { event } = frame.message as WatchKeySetResponse;
    return event.case === "heartbeat" ? `${event.value.prevRevision}-${event.value.revision}` : event.case;
  });

/** A subscriber, what is written to it, and a line that can be made slow. */
function follower() {
  const written: Frame[] = [];
  const sink = { bufferedBytes: 0, write: (frame: Frame) => void written.push(frame), drained: async () => {} };
  const call = { caller: {}, recheck: async () => {} } as unknown as StreamCall;
  const id = newId("sub", 0, ids(10)) as SubscriptionId;
  const subscriber = new Subscriber(id, call, sink, { schedule: () => () => {}, tally: new StreamTally() });
  return { subscriber, sink, written };
}

describe("a feed that is told again", () => {
  it("repeats its snapshot, what moved it since, and of what moved nothing the last, however often there was one", () => {
    const feed = feedOf(...snapshot(1n), heartbeat(1n, 1n), heartbeat(1n, 3n), heartbeat(3n, 3n), heartbeat(3n, 3n));
    expect(told(feed.replay())).toEqual(["catchUp", "snapshotBegin", "snapshotEnd", "1-3", "3-3"]);
  });

  it.each([
    [{ revision: 3n, hash: hash(3n), storeEpoch }, ["catchUp", "3-5"]],
    [{ revision: 5n, hash: hash(5n), storeEpoch }, ["catchUp"]],
    [{ revision: 4n, hash: hash(4n), storeEpoch }, ResyncReason.COMPACTED],
    [{ revision: 0n, hash: hash(0n), storeEpoch }, ResyncReason.COMPACTED],
    [{ revision: 6n, hash: hash(6n), storeEpoch }, ResyncReason.AHEAD],
    [{ revision: 3n, hash: hash(9n), storeEpoch }, ResyncReason.OTHER_HISTORY],
    [{ revision: 3n, hash: hash(3n), storeEpoch: "f".repeat(32) }, ResyncReason.OTHER_HISTORY],
  ])("goes on from %o, or says why not", (from, expected) => {
    const missed = feedOf(...snapshot(1n), heartbeat(1n, 3n), heartbeat(3n, 5n)).after(from);
    expect("frames" in missed ? told(missed.frames) : missed.resync).toEqual(expected);
  });

  it("wants another snapshot once another key signs, since who has heard of that refuses the one before", () => {
    const feed = feedOf(...snapshot(1n), heartbeat(1n, 2n));
    expect(feed.lacksSnapshot).toBe(false);
    feed.take(heartbeat(2n, 3n, "k2"));
    expect(feed.lacksSnapshot).toBe(true);
    for (const one of snapshot(3n, "k2")) feed.take(one);
    expect(feed.lacksSnapshot).toBe(false);
  });

  it("disturbs nobody by a new snapshot who stands just there, and has others begin anew with it", () => {
    const feed = feedOf(...snapshot(1n));
    const one = follower();
    one.subscriber.follow(feed);
    for (const part of snapshot(1n)) feed.take(part);
    expect(one.written).toEqual([]);
    for (const part of snapshot(4n)) feed.take(part);
    expect(told(one.written)).toEqual(["resyncRequired", "catchUp", "snapshotBegin", "snapshotEnd"]);
    feed.take(heartbeat(4n, 5n));
    expect(told(one.written).at(-1)).toBe("4-5");
  });

  it("lets go who doesn't read", () => {
    const feed = feedOf(...snapshot(1n));
    const one = follower();
    one.subscriber.follow(feed);
    one.sink.bufferedBytes = bufferedBytesMax + 1;
    feed.take(heartbeat(1n, 2n));
    expect(one.subscriber.over).toBe(true);
    const value = { reason: ResyncReason.TOO_SLOW, snapshotFollows: false };
    expect(one.written.map(({ message }) => message)).toMatchObject([{ event: { case: "resyncRequired", value } }]);
  });
});
