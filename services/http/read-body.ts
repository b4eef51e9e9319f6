import type { Readable } from "node:stream";
import { Code, ConnectError } from "@connectrpc/connect";
import { deadlineExceeded } from "../rpc/error-boundary.ts";
import { requestReceiveMsMax, requestTooLarge } from "../rpc/request-message.ts";

export interface BodyLimits {
  /** Largest body, in bytes. */
  readonly bodyBytesMax: number;
  /** Largest message, as the error tells it. */
  readonly requestBytesMax: number;
  /** What is read of a body before it is known who sends it, in bytes. */
  readonly unscreenedBytesMax: number;
}

/** Who gets a body: exactly one of `whole` and `faulty` is called, once; neither if `screen` said no. */
export interface BodyReceiver {
  /** Asked before the rest of a large body is read; who says no has answered. */
  screen(): Promise<boolean>;
  whole(bytes: Uint8Array): void;
  faulty(thrown: unknown): void;
  /** Whether the source outlives its body by far, so that nothing of the reading may stay with it. */
  readonly lasting?: boolean;
}

/** A request of HTTP/1.1, or a stream of HTTP/2, which ends when it is aborted as if it were whole. */
type BodySource = Readable & { readonly aborted: boolean };

/**
 * Reads a whole body, without promises, since most bodies come in one piece. Faults: REQUEST_TOO_LARGE,
 * DEADLINE_EXCEEDED after 30 s, and CANCELED for one that ends early.
 */
export function readBody(
  source: BodySource,
  { bodyBytesMax, requestBytesMax, unscreenedBytesMax }: BodyLimits,
  receiver: BodyReceiver,
): void {
  let chunks: Buffer[] | undefined;
  let first: Buffer | undefined;
  let size = 0;
  let screened = false;
  let over = false;

  const onData = (chunk: Buffer): void => {
    if (over) return;
    size += chunk.length;
    if (size > bodyBytesMax) fail(requestTooLarge(requestBytesMax));
    else if (first === undefined) first = chunk;
    else if (chunks === undefined) chunks = [first, chunk];
    else chunks.push(chunk);
    if (over || size <= unscreenedBytesMax || screened) return;
    screened = true;
    source.pause();
    void receiver.screen().then((passes) => (passes ? source.resume() : giveUp()));
  };
  const onEnd = (): void => {
    // Of HTTP/2: an aborted one ends as a whole one does.
    if (source.aborted) onClose();
    if (over) return;
    giveUp();
    receiver.whole(chunks ? Buffer.concat(chunks, size) : (first ?? noBytes));
  };
  const onClose = (): void => {
    // Also called for every request that ended well: an error costs more than the rest of it.
    if (!over) fail(new ConnectError("the request ended early", Code.Canceled));
  };
  const fail = (thrown: unknown): void => {
    if (over) return;
    giveUp();
    receiver.faulty(thrown);
  };
  const giveUp = (): void => {
    over = true;
    awaited.delete(body);
    if (receiver.lasting) source.off("data", onData).off("end", onEnd).off("close", onClose);
  };

  const body: AwaitedBody = { endMs: performance.now() + requestReceiveMsMax, late: fail };
  awaited.add(body);
  // Mostly left on the source, which goes with the request: to take them off costs as much as to read the body.
  source.on("data", onData).on("end", onEnd).on("close", onClose);
}

const noBytes = new Uint8Array(0);

/** A body that isn't whole yet. */
interface AwaitedBody {
  readonly endMs: number;
  late(reason: unknown): void;
}

/** Ends bodies that don't come in time. One timer for all: one for each would cost as much as to read a small body. */
class AwaitedBodies {
  /** In the order of their ends. */
  readonly #bodies = new Set<AwaitedBody>();
  #timer: NodeJS.Timeout | undefined;

  add(body: AwaitedBody): void {
    this.#bodies.add(body);
    this.#timer ??= setTimeout(this.#endLate, requestReceiveMsMax).unref();
  }

  delete(body: AwaitedBody): void {
    this.#bodies.delete(body);
  }

  readonly #endLate = (): void => {
    this.#timer = undefined;
    const nowMs = performance.now();
    for (const { endMs, late } of this.#bodies) {
      if (endMs > nowMs) {
        this.#timer = setTimeout(this.#endLate, Math.ceil(endMs - nowMs)).unref();
        return;
      }
      late(deadlineExceeded());
    }
  };
}

const awaited = new AwaitedBodies();
