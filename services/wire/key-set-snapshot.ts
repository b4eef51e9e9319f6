import type { MessageInitShape } from "@bufbuild/protobuf";
import type { WatchKeySetResponseSchema } from "../../gen/ichor/v1/key_set_pb.ts";
import type { Position } from "../core/key-set/feed.ts";
import type { KeySetDelta } from "../core/key-set/key-set-delta.ts";
import type { KeySetState } from "../core/key-set/key-set-state.ts";
import { keySetItemsToProto } from "./key-set.ts";
import { toTimestamp } from "./time.ts";

/** Marks and revoked tokens in one message of a snapshot: what is encoded, and decoded, in a millisecond. */
export const snapshotItemsMax = 2_048;

/** An event of WatchKeySet, to be made. */
export type WatchEventInit = NonNullable<
  Extract<MessageInitShape<typeof WatchKeySetResponseSchema>, { readonly $typeName?: never }>["event"]
>;

/**
 * Gives a feed's state as the events that tell it: what the stream sends, and what a verifier keeps in a file. `parts`, for
 * `itemsEvent`, are made when they are asked for, of the state as it was when this was called.
 */
export function snapshotEvents(
  feed: string,
  state: KeySetState,
  { revision, hash, storeEpoch }: Position,
  asOfMs: number,
): { readonly begin: WatchEventInit; readonly parts: () => Iterable<KeySetDelta>; readonly end: WatchEventInit } {
  const counts = { markCount: BigInt(state.markCount), revokedTokenCount: BigInt(state.tokenCount) };
  const end = { feed, revision, hash, digest: state.digest, asOf: toTimestamp(asOfMs) };
  return {
    begin: { case: "snapshotBegin", value: { feed, revision, storeEpoch, ...counts } },
    parts: () => state.parts(snapshotItemsMax),
    end: { case: "snapshotEnd", value: end },
  };
}

/** Gives the event that tells a part of a snapshot. */
export function itemsEvent(feed: string, part: KeySetDelta): WatchEventInit {
  return { case: "snapshotItems", value: { feed, items: keySetItemsToProto(part) } };
}
