import { type ResyncReason, WatchKeySetResponseSchema } from "../../gen/ichor/v1/key_set_pb.ts";
import type { FeedSignature } from "../core/key-set/feed-statement.ts";
import { Frame } from "../rpc/frame.ts";
import type { WatchEventInit } from "../wire/key-set-snapshot.ts";

/** Who gets what a channel tells. */
export interface Follower {
  send(frame: Frame): void;
  /** The feed has ended: it must begin anew. */
  reset(): void;
  /** The feed begins anew, with these frames. */
  beginAnew(feed: string, reason: ResyncReason, frames: Iterable<Frame>): void;
}

/** A feed on the wire, for those who follow it. */
export interface Channel {
  add(follower: Follower): void;
  remove(follower: Follower): void;
}

/** Encodes an event of the stream, with its signature if it has one. */
export function eventFrame(event: WatchEventInit, signed?: FeedSignature): Frame {
  return Frame.of(WatchKeySetResponseSchema, { event, ...signed });
}
