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

/** A request of HTTP/1.1, or a stream of HTTP/2, which ends when it is aborted as if it were whole. */
type BodySource = Readable & { readonly aborted: boolean };

/**
 * Reads a whole body and calls exactly one of the two, once: without promises, since most bodies come in one piece.
 * Faults: REQUEST_TOO_LARGE, DEADLINE_EXCEEDED after 30 s, and CANCELED for one that ends early. Neither is called if
 * `screen`, which is asked before the rest of a large body is read, says no: it has answered then.
 */
export function readBody(
  source: BodySource,
  { bodyBytesMax, requestBytesMax, unscreenedBytesMax }: BodyLimits,
  screen: () => Promise<boolean>,
  whole: (bytes: Uint8Array) => void,
  faulty: (thrown: unknown) => void,
): void {
  let chunks: Buffer[] | undefined;
  let first: Buffer | undefined;
  let size = 0;
  let screened = false;
  let over = false;

  const onData = (chunk: Buffer): void => {
    size += chunk.length;
    if (size > bodyBytesMax) fail(requestTooLarge(requestBytesMax));
    else if (first === undefined) first = chunk;
    else if (chunks === undefined) chunks = [first, chunk];
    else chunks.push(chunk);
    if (size <= unscreenedBytesMax || screened) return;
    screened = true;
    source.pause();
    void screen().then((passes) => (passes ? source.resume() : giveUp()));
  };
  const onEnd = (): void => {
    if (over) return;
    if (source.aborted) {
      onClose();
      return;
    }
    over = true;
    clearTimeout(timer);
    whole(chunks ? Buffer.concat(chunks, size) : (first ?? noBytes));
  };
  const onClose = (): void => {
    // Also called for every request that ended well: an error costs more than the rest of it.
    if (!over) fail(new ConnectError("the request ended early", Code.Canceled));
  };
  const fail = (thrown: unknown): void => {
    if (over) return;
    giveUp();
    faulty(thrown);
  };
  const giveUp = (): void => {
    over = true;
    clearTimeout(timer);
    source.off("data", onData);
  };

  const timer = setTimeout(() => fail(deadlineExceeded()), requestReceiveMsMax);
  // Left on the source, which goes with the request: to take them off costs as much as to read the body.
  source.on("data", onData).on("end", onEnd).on("close", onClose);
}

const noBytes = new Uint8Array(0);
