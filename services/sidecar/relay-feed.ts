import { ResyncReason, type WatchKeySetResponse, WatchKeySetResponseSchema } from "../../gen/ichor/v1/key_set_pb.ts";
import type { Position } from "../core/key-set/feed.ts";
import { Frame } from "../rpc/frame.ts";
import { type Channel, eventFrame, type Follower } from "../subscribers/event-frame.ts";

/** What may have been told since the snapshot before a new one is asked for, in bytes, however small the snapshot is. */
export const sinceBytesLeast = 4 * 1024 * 1024;
/** What a kept frame takes beside its bytes on the wire. */
const frameBytes = 256;

type WatchEvent = WatchKeySetResponse["event"];
type Told = Extract<WatchEvent, { case: "snapshotEnd" | "delta" | "heartbeat" }>["value"];

interface KeptSnapshot {
  readonly storeEpoch: string;
  readonly frames: Frame[];
  bytes: number;
  /** Thumbprint of the key that signed it; empty: none did. */
  signedBy: string;
}

/** What a client that stands at a position gets; or why it can't go on from there. */
export type Continuation = { readonly frames: Iterable<Frame> } | { readonly resync: ResyncReason };

/**
 * A feed as another told it: its last snapshot, and all that moved it on since, in the very messages, since nobody here
 * can sign others. Who comes late gets them again.
 */
export class RelayFeed implements Channel {
  readonly name: string;
  readonly #sinceBytesLeast: number;
  readonly #followers = new Set<Follower>();
  #draft: KeptSnapshot | undefined;
  #snapshot: KeptSnapshot | undefined;
  /** Replaced when a snapshot takes its place, and never shortened: it may be being sent. */
  #since: Frame[] = [];
  #sinceBytes = 0;
  /** Thumbprint of the key that signed last. */
  #signedBy = "";
  /** Where the feed stood: at the end of the snapshot, and after each of `#since`. */
  #stood: Position[] = [];
  /** Said last, if it moved nothing: how fresh all of it is. */
  #freshest: Frame | undefined;
  /** Up to which revision it is being told what was, itself. */
  #catchUpTo = 0n;

  constructor(name: string, least = sinceBytesLeast) {
    this.name = name;
    this.#sinceBytesLeast = least;
  }

  /** Where the feed stands; undefined: nothing of it is here. */
  get position(): Position | undefined {
    return this.#stood.at(-1);
  }

  /**
   * Whether it should begin with a snapshot again: there is none, what came since outweighs it, or another key signs now,
   * after which who has heard of that believes the former no more.
   */
  get lacksSnapshot(): boolean {
    const snapshot = this.#snapshot;
    if (snapshot === undefined || snapshot.signedBy !== this.#signedBy) return true;
    return this.#sinceBytes > Math.max(this.#sinceBytesLeast, snapshot.bytes);
  }

  /** Another stream begins: it says itself whether it tells what was. */
  streamBegins(): void {
    this.#catchUpTo = 0n;
  }

  add(follower: Follower): void {
    this.#followers.add(follower);
  }

  remove(follower: Follower): void {
    this.#followers.delete(follower);
  }

  /** Takes a message that was found to be true, and passes it on. Its order was seen to, too. */
  take(message: WatchKeySetResponse): void {
    const { event } = message;
    const frame = () => Frame.kept(WatchKeySetResponseSchema, message);
    switch (event.case) {
      case "snapshotBegin":
        this.#draft = { storeEpoch: event.value.storeEpoch, frames: [], bytes: 0, signedBy: "" };
        this.#draw(frame());
        break;
      case "snapshotItems":
        this.#draw(frame());
        break;
      case "snapshotEnd":
        this.#draw(frame());
        this.#complete(event.value, message.feedKeyId);
        break;
      case "delta":
        this.#signedBy = message.feedKeyId;
        this.#moveOn(event.value, frame());
        break;
      case "heartbeat":
        this.#signedBy = message.feedKeyId;
        if (event.value.revision > event.value.prevRevision) this.#moveOn(event.value, frame());
        else this.#tellFreshness(frame());
        break;
      case "catchUp":
        this.#catchUpTo = event.value.revision;
        this.#tell(frame());
        break;
    }
  }

  /** All of it, for who has nothing. There must be a snapshot. */
  replay(): Iterable<Frame> {
    return framesOf(this.#caughtUp(), this.#snapshot?.frames ?? [], this.#since, 0, this.#freshest);
  }

  /** What a client has missed that stands at `from`. */
  after(from: Position): Continuation {
    const { position } = this;
    if (position?.storeEpoch !== from.storeEpoch) return { resync: ResyncReason.OTHER_HISTORY };
    if (from.revision > position.revision) return { resync: ResyncReason.AHEAD };
    const at = this.#indexOf(from.revision);
    const stood = this.#stood[at];
    // Another one was told along other revisions; or it was before the snapshot.
    if (stood?.revision !== from.revision) return { resync: ResyncReason.COMPACTED };
    if (Buffer.compare(stood.hash, from.hash) !== 0) return { resync: ResyncReason.OTHER_HISTORY };
    return { frames: framesOf(this.#caughtUp(), [], this.#since, at, this.#freshest) };
  }

  /** Says to a client up to where it hears what was. */
  #caughtUp(): Frame {
    const { revision } = this.position ?? { revision: 0n };
    const value = { feed: this.name, revision: revision > this.#catchUpTo ? revision : this.#catchUpTo };
    return eventFrame({ case: "catchUp", value });
  }

  #draw(frame: Frame): void {
    if (this.#draft === undefined) return;
    this.#draft.frames.push(frame);
    this.#draft.bytes += weightOf(frame);
  }

  #complete(told: Told, signedBy: string): void {
    const snapshot = this.#draft;
    const before = this.position;
    this.#draft = undefined;
    if (snapshot === undefined) return;
    snapshot.signedBy = signedBy;
    this.#signedBy = signedBy;
    this.#snapshot = snapshot;
    this.#since = [];
    this.#sinceBytes = 0;
    const at = { storeEpoch: snapshot.storeEpoch, revision: told.revision, hash: told.hash };
    this.#stood = [at];
    this.#freshest = undefined;
    if (before === undefined || isSame(before, at)) return;
    const reason = before.storeEpoch === at.storeEpoch ? ResyncReason.COMPACTED : ResyncReason.OTHER_HISTORY;
    for (const follower of [...this.#followers]) follower.beginAnew(this.name, reason, this.replay());
  }

  #moveOn({ revision, hash }: Told, frame: Frame): void {
    const { position } = this;
    if (position === undefined) return;
    this.#since.push(frame);
    this.#sinceBytes += weightOf(frame);
    this.#stood.push({ storeEpoch: position.storeEpoch, revision, hash });
    this.#freshest = undefined;
    this.#tell(frame);
  }

  #tellFreshness(frame: Frame): void {
    if (this.position === undefined) return;
    this.#freshest = frame;
    this.#tell(frame);
  }

  #tell(frame: Frame): void {
    for (const follower of [...this.#followers]) follower.send(frame);
  }

  /** The first place in `#stood` at or after a revision. */
  #indexOf(revision: bigint): number {
    let low = 0;
    let high = this.#stood.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#stood[middle] as Position).revision < revision) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

function isSame(a: Position, b: Position): boolean {
  return a.storeEpoch === b.storeEpoch && a.revision === b.revision && Buffer.compare(a.hash, b.hash) === 0;
}

function weightOf(frame: Frame): number {
  return frame.binary.length + frameBytes;
}

/** What there is now: not what is told while it is sent, which comes after it. */
function framesOf(
  first: Frame,
  snapshot: readonly Frame[],
  since: readonly Frame[],
  from: number,
  last: Frame | undefined,
): Iterable<Frame> {
  const to = since.length;
  return (function* () {
    yield first;
    yield* snapshot;
    for (let i = from; i < to; i++) yield since[i] as Frame;
    if (last !== undefined) yield last;
  })();
}
