import { setImmediate as nextTurn } from "node:timers/promises";
import { ResyncReason } from "../../gen/ichor/v1/key_set_pb.ts";
import { isCallerRefusal } from "../core/caller-end.ts";
import type { KeyId, SubscriptionId, TenantId } from "../core/ids.ts";
import type { FrameSink, StreamCall } from "../rpc/call.ts";
import type { Frame } from "../rpc/frame.ts";
import { toDuration } from "../wire/time.ts";
import { type Channel, eventFrame, type Follower } from "./event-frame.ts";
import type { StreamTally } from "./stream-tally.ts";

/** What may be waiting for a client that reads slowly, in bytes; beyond it must begin anew. */
export const bufferedBytesMax = 1024 * 1024;
/** Frames that may wait while a snapshot is sent, likewise. */
export const pendingFramesMax = 10_000;
/** Frames of a snapshot that are sent before other work of the process gets its turn: all of a small one. */
const framesAtOnce = 3;
/** How long a client may take to read a part of a snapshot, in ms. */
export const snapshotStallMsMax = 30_000;

export interface SubscriberParts {
  readonly id: SubscriptionId;
  readonly call: StreamCall;
  readonly sink: FrameSink;
  /** Calls back once after so many ms and gives what cancels that. */
  readonly schedule: (callback: () => void, delayMs: number) => () => void;
  readonly tally: StreamTally;
}

/**
 * One stream of WatchKeySet. What is written to it is bounded: a client that doesn't read is told to begin anew and let
 * go, so that it costs no more than its buffer.
 */
export class Subscriber implements Follower {
  readonly id: SubscriptionId;
  readonly keyId: KeyId;
  readonly callerTenantId: TenantId;
  readonly #parts: SubscriberParts;
  readonly #channels = new Set<Channel>();
  #pending: Frame[] | undefined;
  #atEnd: readonly (() => void)[] = [];
  #over = false;
  #refusal: unknown;

  constructor(parts: SubscriberParts) {
    this.#parts = parts;
    this.id = parts.id;
    this.keyId = parts.call.caller.keyId;
    this.callerTenantId = parts.call.caller.tenantId;
  }

  get over(): boolean {
    return this.#over;
  }

  /** Follows a channel from now on. */
  follow(channel: Channel): void {
    if (this.#over) return;
    this.#channels.add(channel);
    channel.add(this);
  }

  /** Calls back once when the stream ends, at once if it has: work that would wait for the end takes more memory. */
  onEnd(callback: () => void): void {
    if (this.#over) callback();
    // Not pushed: an array that grows takes room for seventeen.
    else this.#atEnd = this.#atEnd.concat(callback);
  }

  /** Resolves when the stream has ended well, rejects when its caller was refused. */
  ended(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.onEnd(() => (this.#refusal === undefined ? resolve() : reject(this.#refusal)));
    });
  }

  send(frame: Frame): void {
    if (this.#over) return;
    if (this.#pending !== undefined) {
      if (this.#pending.length >= pendingFramesMax) this.#tooSlow();
      else this.#pending.push(frame);
      return;
    }
    const { sink } = this.#parts;
    if (sink.bufferedBytes > bufferedBytesMax) this.#tooSlow();
    else this.#write(frame);
  }

  /** Sends a snapshot no faster than it is read; what is told meanwhile comes after it. */
  async sendSnapshot(frames: Iterable<Frame>): Promise<void> {
    const { sink } = this.#parts;
    this.#pending ??= [];
    let sent = 0;
    for (const frame of frames) {
      // To make and encode a frame takes some milliseconds.
      if (sent++ >= framesAtOnce) await nextTurn();
      if (this.#over) return;
      this.#write(frame);
      if (sink.bufferedBytes > bufferedBytesMax) await this.#drained();
    }
    const pending = this.#pending;
    this.#pending = undefined;
    for (const frame of pending) this.send(frame);
  }

  reset(): void {
    this.#resync(ResyncReason.OTHER_HISTORY);
  }

  /** Asks the client to come back later, and ends. */
  drain(retryAfterMs: number): void {
    this.#end([eventFrame({ case: "drain", value: { retryAfter: toDuration(retryAfterMs) } })]);
  }

  /** Ends the stream unless its caller would still be let in. */
  async recheck(): Promise<void> {
    try {
      await this.#parts.call.recheck();
    } catch (reason) {
      if (isCallerRefusal(reason)) this.#end([], reason);
    }
  }

  /** Ends the stream; the client is gone. */
  close(): void {
    this.#end([]);
  }

  async #drained(): Promise<void> {
    const { sink, schedule } = this.#parts;
    let cancel = () => {};
    const late = new Promise<void>((resolve) => {
      cancel = schedule(() => {
        this.#tooSlow();
        resolve();
      }, snapshotStallMsMax);
    });
    await Promise.race([sink.drained(), late]);
    cancel();
  }

  #write(frame: Frame): void {
    this.#parts.tally.messages += 1;
    this.#parts.sink.write(frame);
  }

  #tooSlow(): void {
    this.#resync(ResyncReason.TOO_SLOW);
  }

  #resync(reason: ResyncReason): void {
    if (!this.#over) this.#parts.tally.resync(reason);
    this.#end([eventFrame({ case: "resyncRequired", value: { feed: "", reason, snapshotFollows: false } })]);
  }

  #end(last: readonly Frame[], refusal?: unknown): void {
    if (this.#over) return;
    this.#over = true;
    this.#pending = undefined;
    for (const channel of this.#channels) channel.remove(this);
    this.#channels.clear();
    for (const frame of last) this.#write(frame);
    this.#refusal = refusal;
    for (const callback of this.#atEnd) callback();
    this.#atEnd = [];
  }
}
