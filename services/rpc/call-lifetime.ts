import type { Carrier } from "./call.ts";

/**
 * When a call ends: at its deadline, or when its client goes away. The signal is made when a method first asks for it,
 * since an AbortController costs more than the rest of the pipeline; it always aborts with a reason, since an abort
 * without one costs a stack trace.
 */
export class CallLifetime {
  readonly #carrier: Carrier;
  #controller: AbortController | undefined;
  #endReason: unknown;
  #over = false;

  constructor(carrier: Carrier) {
    this.#carrier = carrier;
  }

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#over) this.#controller.abort(this.#endReason);
      else if (this.#carrier.signal.aborted) this.#onClientGone();
      else this.#carrier.signal.addEventListener("abort", this.#onClientGone, { once: true });
    }
    return this.#controller.signal;
  }

  /** Ends the call early: aborts what it still does. */
  abort(reason: unknown): void {
    this.#close(reason);
    this.#controller?.abort(reason);
  }

  /** The call has answered: nothing is aborted, and the client may go. */
  complete(): void {
    this.#close(new Error("the call has answered"));
  }

  #close(reason: unknown): void {
    this.#over = true;
    this.#endReason = reason;
    if (this.#controller) this.#carrier.signal.removeEventListener("abort", this.#onClientGone);
  }

  readonly #onClientGone = (): void => this.abort(this.#carrier.signal.reason);
}
