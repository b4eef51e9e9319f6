import { setImmediate as nextTurn } from "node:timers/promises";
import { ResyncReason } from "../../gen/ichor/v1/key_set_pb.ts";
import { isCallerRefusal } from "../core/caller-end.ts";
import type { KeyId, SubscriptionId, TenantId } from "../core/ids.ts";
import type { EndListener, FrameSink, LastingStream, StreamCall } from "../rpc/call.ts";
import type { Frame } from "../rpc/frame.ts";
import { toDuration } from "../wire/time.ts";
import { type Channel, eventFrame, type Follower } from "./event-frame.ts";
import type { StreamTally } from "./stream-tally.ts";

/** What may be waiting for a client that reads slowly, in bytes; beyond it must begin anew. */
export const bufferedBytesMax = 1024 * 1024;
/** Frames that may wait while a snapshot is sent, likewise. */
export const pendingFramesMax = 10_000;
/** How much of a snapshot is sent before other work of the process gets its turn, in bytes: all of a small one. */
const bytesAtOnce = 64 * 1024;
/** How long a client may take to read a part of a snapshot, in ms. */
export const snapshotStallMsMax = 30_000;

/** What all streams of a process share. */
export interface SubscriberDeps {
  /** Calls back once after so many ms and gives what cancels that. */
  readonly schedule: (callback: () => void, delayMs: number) => () => void;
  readonly tally: StreamTally;
}

/**
 * One stream of WatchKeySet. What is written to it is bounded: a client that doesn't read is told to begin anew and let
 * go, so that it costs no more than its buffer.
 */
export class Subscriber implements Follower, LastingStream {
  readonly id: SubscriptionId;
  readonly #call: Pick<StreamCall, "caller" | "recheck">;
  readonly #sink: FrameSink;
  readonly #deps: SubscriberDeps;
  // Both never pushed to: an array that grows takes room for seventeen.
  #channels: readonly Channel[] = [];
  #atEnd: readonly EndListener<Subscriber>[] = [];
  #pending: Frame[] | undefined;
  #over = false;
  #refusal: unknown;

  constructor(id: SubscriptionId, call: Pick<StreamCall, "caller" | "recheck">, sink: FrameSink, deps: SubscriberDeps) {
    this.id = id;
    this.#call = call;
    this.#sink = sink;
    this.#deps = deps;
  }

  get keyId(): KeyId {
    return this.#call.caller.keyId;
  }

  get callerTenantId(): TenantId {
    return this.#call.caller.tenantId;
  }

  get refusal(): unknown {
    return this.#refusal;
  }

  get over(): boolean {
    return this.#over;
  }

  /** Follows a channel from now on. */
  follow(channel: Channel): void {
    if (this.#over) return;
    if (!this.#channels.includes(channel)) this.#channels = this.#channels.concat(channel);
    channel.add(this);
  }

  onEnd(listener: EndListener<Subscriber>): void {
    if (this.#over) listener.ended(this);
    else this.#atEnd = this.#atEnd.concat(listener);
  }

  send(frame: Frame): void {
    if (this.#over) return;
    if (this.#pending !== undefined) {
      if (this.#pending.length >= pendingFramesMax) this.#tooSlow();
      else this.#pending.push(frame);
      return;
    }
    if (this.#sink.bufferedBytes > bufferedBytesMax) this.#tooSlow();
    else this.#write(frame);
  }

  /** Sends a snapshot no faster than it is read; what is told meanwhile comes after it. */
  async sendSnapshot(frames: Iterable<Frame>): Promise<void> {
    this.#pending ??= [];
    let sentBytes = 0;
    for (const frame of frames) {
      if (this.#over) return;
      this.#write(frame);
      sentBytes += frame.binary.length;
      // To make and encode so much takes some milliseconds.
      if (sentBytes >= bytesAtOnce) {
        sentBytes = 0;
        await nextTurn();
      }
      if (this.#sink.bufferedBytes > bufferedBytesMax) await this.#drained();
    }
    if (this.#over) return;
    const pending = this.#pending;
    this.#pending = undefined;
    for (const frame of pending) this.send(frame);
  }

  reset(): void {
    this.#resync(ResyncReason.OTHER_HISTORY);
  }

  beginAnew(feed: string, reason: ResyncReason, frames: Iterable<Frame>): void {
    if (this.#pending !== undefined) {
      // Whoever still gets the one before would get both mixed.
      this.#resync(reason);
      return;
    }
    this.resync(feed, reason);
    void this.sendSnapshot(frames);
  }

  /** Tells that a snapshot of a feed follows, since what the client has of it can't be brought up to date. */
  resync(feed: string, reason: ResyncReason): void {
    this.#deps.tally.resync(reason);
    this.send(eventFrame({ case: "resyncRequired", value: { feed, reason, snapshotFollows: true } }));
  }

  /** Asks the client to come back later, and ends. */
  drain(retryAfterMs: number): void {
    this.#end([eventFrame({ case: "drain", value: { retryAfter: toDuration(retryAfterMs) } })]);
  }

  /**
   * Ends the stream unless its caller would still be let in.
   *
   * @param surely whether also if that can't be told: it has surely changed, and others hold up the answer
   */
  async recheck(surely = false): Promise<void> {
    try {
      await this.#call.recheck();
    } catch (reason) {
      if (surely || isCallerRefusal(reason)) this.#end([], reason);
    }
  }

  /** Ends the stream; the client is gone. */
  close(): void {
    this.#end([]);
  }

  async #drained(): Promise<void> {
    let cancel = () => {};
    const late = new Promise<void>((resolve) => {
      cancel = this.#deps.schedule(() => {
        this.#tooSlow();
        resolve();
      }, snapshotStallMsMax);
    });
    await Promise.race([this.#sink.drained(), late]);
    cancel();
  }

  #write(frame: Frame): void {
    this.#deps.tally.messages += 1;
    this.#sink.write(frame);
  }

  #tooSlow(): void {
    this.#resync(ResyncReason.TOO_SLOW);
  }

  #resync(reason: ResyncReason): void {
    if (!this.#over) this.#deps.tally.resync(reason);
    this.#end([eventFrame({ case: "resyncRequired", value: { feed: "", reason, snapshotFollows: false } })]);
  }

  #end(last: readonly Frame[], refusal?: unknown): void {
    if (this.#over) return;
    this.#over = true;
    this.#pending = undefined;
    for (const channel of this.#channels) channel.remove(this);
    this.#channels = [];
    for (const frame of last) this.#write(frame);
    this.#refusal = refusal;
    const listeners = this.#atEnd;
    this.#atEnd = [];
    for (const listener of listeners) listener.ended(this);
  }
}
