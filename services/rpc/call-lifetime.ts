import type { Carrier } from "./call.ts";

/**
 * When a call ends: at its deadline, or when its client goes away. The signal is made when a method first asks for it,
 * since an AbortController costs more than the rest of the pipeline; it always aborts with a reason, since an abort
 * without one costs a stack trace.
 */
export class CallLifetime {
  readonly #carrier: Carrier;
  #controller: AbortController | undefined;
  #onClientGone: (() => void) | undefined;
  #abortReason: unknown;
  #over = false;

  constructor(carrier: Carrier) {
    this.#carrier = carrier;
  }

  get signal(): AbortSignal {
    this.#controller ??= this.#makeController();
    return this.#controller.signal;
  }

  /** Ends the call early: aborts what it still does. */
  abort(reason: unknown): void {
    this.complete();
    this.#abortReason = reason;
    this.#controller?.abort(reason);
  }

  /** The call has answered: nothing is aborted any more, and the client may go. */
  complete(): void {
    this.#over = true;
    if (this.#onClientGone) this.#carrier.signal.removeEventListener("abort", this.#onClientGone);
  }

  #makeController(): AbortController {
    const controller = new AbortController();
    if (this.#abortReason !== undefined) controller.abort(this.#abortReason);
    if (this.#over) return controller;
    const { signal } = this.#carrier;
    if (signal.aborted) controller.abort(signal.reason);
    else {
      this.#onClientGone = () => this.abort(signal.reason);
      signal.addEventListener("abort", this.#onClientGone, { once: true });
    }
    return controller;
  }
}
