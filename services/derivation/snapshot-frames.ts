import { ContentHash } from "../core/key-set/content-hash.ts";
import type { KeySetDelta } from "../core/key-set/key-set-delta.ts";
import type { Frame } from "../rpc/frame.ts";
import { eventFrame } from "../subscribers/event-frame.ts";
import { itemsEvent } from "../wire/key-set-snapshot.ts";
import { SharedSequence } from "./shared-sequence.ts";

/** The items of a snapshot as frames, made when they are first sent; and what their content hash is once all were. */
export class SnapshotParts implements Iterable<Frame> {
  readonly #content = new ContentHash();
  readonly #frames: SharedSequence<Frame>;

  constructor(feed: string, parts: Iterable<KeySetDelta>) {
    this.#frames = new SharedSequence(this.#make(feed, parts));
  }

  /** Of all that was made so far. */
  get contentHash(): Uint8Array {
    return this.#content.digest();
  }

  [Symbol.iterator](): Iterator<Frame> {
    return this.#frames[Symbol.iterator]();
  }

  *#make(feed: string, parts: Iterable<KeySetDelta>): Generator<Frame> {
    for (const part of parts) {
      this.#content.add(part);
      yield eventFrame(itemsEvent(feed, part));
    }
  }
}

/** A snapshot as of a moment, whose end is made, and signed, once. */
export class SnapshotFrames implements Iterable<Frame> {
  readonly #begin: Frame;
  readonly #parts: SnapshotParts;
  readonly #makeEnd: (contentHash: Uint8Array) => Frame;
  #end: Frame | undefined;

  constructor(begin: Frame, parts: SnapshotParts, makeEnd: (contentHash: Uint8Array) => Frame) {
    this.#begin = begin;
    this.#parts = parts;
    this.#makeEnd = makeEnd;
  }

  *[Symbol.iterator](): Generator<Frame> {
    yield this.#begin;
    yield* this.#parts;
    this.#end ??= this.#makeEnd(this.#parts.contentHash);
    yield this.#end;
  }
}
