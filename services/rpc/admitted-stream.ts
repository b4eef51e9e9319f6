import type { ConnectError } from "@connectrpc/connect";
import type { Caller } from "../core/caller.ts";
import type { TenantId } from "../core/ids.ts";
import type { CallerAccess } from "./access.ts";
import type { Carrier, EndListener, LastingStream, StreamCall } from "./call.ts";

/** Gets the end of a stream. */
export interface StreamDone {
  /** @param error ready to be sent; undefined: the stream ended well */
  done(error: ConnectError | undefined): void;
}

/** What the pipeline does for streams while they last; `P` is what it knows of one. */
export interface StreamSteps<P> {
  /** Authenticates and authorises the caller again. Rejects as the call would have been refused. */
  recheck(access: CallerAccess, progress: P): Promise<void>;
  /** Records the end, and gives the error to send. */
  settle(progress: P, refusal: unknown): ConnectError | undefined;
}

interface StreamProgress {
  readonly method: string;
  readonly clientAddress: string;
  readonly carrier: Carrier;
}

/** A stream that has passed every check. All that the pipeline keeps of it while it lasts: no promise, no closure. */
export class AdmittedStream<P extends StreamProgress> implements StreamCall, EndListener<LastingStream> {
  readonly caller: Caller;
  readonly tenantId: TenantId;
  readonly #steps: StreamSteps<P>;
  readonly #access: CallerAccess;
  readonly #progress: P;
  readonly #then: StreamDone;

  constructor(
    steps: StreamSteps<P>,
    access: CallerAccess,
    progress: P,
    caller: Caller,
    tenantId: TenantId,
    then: StreamDone,
  ) {
    this.#steps = steps;
    this.#access = access;
    this.#progress = progress;
    this.caller = caller;
    this.tenantId = tenantId;
    this.#then = then;
  }

  get method(): string {
    return this.#progress.method;
  }

  get clientAddress(): string {
    return this.#progress.clientAddress;
  }

  recheck(): Promise<void> {
    return this.#steps.recheck(this.#access, this.#progress);
  }

  onClose(callback: () => void): void {
    this.#progress.carrier.onClose(callback);
  }

  ended({ refusal }: LastingStream): void {
    this.#then.done(this.#steps.settle(this.#progress, refusal));
  }
}
