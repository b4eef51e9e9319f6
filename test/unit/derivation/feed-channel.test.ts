import { beforeEach, describe, expect, it } from "vitest";
import type { WatchKeySetResponse } from "../../../gen/ichor/v1/key_set_pb.ts";
import { Feed, type Position } from "../../../services/core/key-set/feed.ts";
import { emptyDelta, type KeySetDelta } from "../../../services/core/key-set/key-set-delta.ts";
import { KeySetState } from "../../../services/core/key-set/key-set-state.ts";
import { FeedChannel } from "../../../services/derivation/feed-channel.ts";
import type { Frame } from "../../../services/rpc/frame.ts";
import { snapshotItemsMax } from "../../../services/wire/key-set-snapshot.ts";
import { seededRandom } from "../../fakes/random.ts";

const random = seededRandom();

class TestFeed extends Feed {
  revoke(count: number): KeySetDelta {
    const delta = { ...emptyDelta, revokedTokens: random(count * 16) };
    this.change(delta, at(this.position.revision + 1n));
    return delta;
  }
}

const at = (revision: bigint): Position => ({
  revision,
  hash: new Uint8Array(32).fill(Number(revision)),
  storeEpoch: "e",
});

let feed: TestFeed;
let asOfMs: number;
let signed: string[];
let channel: FeedChannel<TestFeed>;
let followers: { readonly frames: Frame[] }[];
beforeEach(() => {
  feed = new TestFeed(new KeySetState(1), at(1n));
  asOfMs = 1_000;
  signed = [];
  channel = new FeedChannel(
    "public",
    feed,
    () => asOfMs,
    ({ kind }) => {
      signed.push(kind);
      return { signature: Uint8Array.of(signed.length), feedKeyId: "kid" };
    },
    () => {},
  );
  followers = Array.from({ length: 3 }, () => {
    const frames: Frame[] = [];
    channel.add({ send: (frame: Frame) => void frames.push(frame), reset() {}, beginAnew() {} } as never);
    return { frames };
  });
});

const messageOf = (frame: Frame | undefined) => frame?.message as WatchKeySetResponse;

describe("a feed on the wire", () => {
  it("signs each event once, whoever follows", () => {
    feed.revoke(1);
    channel.heartbeat(at(5n), false);
    expect(signed).toEqual(["delta", "heartbeat"]);
    const [first, ...others] = followers;
    expect(first?.frames.map((frame) => messageOf(frame).signature)).toEqual([Uint8Array.of(1), Uint8Array.of(2)]);
    for (const { frames } of others) expect(frames).toEqual(first?.frames);
  });

  it("signs a snapshot once for all who come at the same moment, after its last part", () => {
    feed.revoke(3 * snapshotItemsMax);
    signed = [];
    const readers = [1, 2, 3].map(() => channel.snapshot()[Symbol.iterator]());
    const frames: Frame[] = [];
    for (const reader of readers) {
      for (let next = reader.next(); !next.done; next = reader.next()) {
        if (reader === readers[0]) frames.push(next.value);
        const isEnd = messageOf(next.value).event.case === "snapshotEnd";
        expect(signed).toEqual(isEnd || reader !== readers[0] ? ["snapshot"] : []);
      }
    }
    expect(frames.map((frame) => messageOf(frame).event.case)).toEqual([
      "snapshotBegin",
      ...["snapshotItems", "snapshotItems", "snapshotItems"],
      "snapshotEnd",
    ]);
    expect(messageOf(frames.at(-1))).toMatchObject({ feedKeyId: "kid", signature: Uint8Array.of(1) });
  });

  it("signs once for all who resume from the same place, and again when there is more, or it is later", () => {
    const from = feed.position;
    const delta = feed.revoke(1);
    signed = [];
    const resume = () => [...channel.catchUp(from, delta)];
    expect([resume(), resume(), resume()].every((frames) => frames.length === 2)).toBe(true);
    expect(signed).toEqual(["delta", "heartbeat"]);
    asOfMs++;
    resume();
    expect(signed).toHaveLength(4);
    feed.revoke(1);
    resume();
    expect(signed).toHaveLength(7);
  });
});
