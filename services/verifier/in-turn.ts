import type { Transport } from "@connectrpc/connect";

/** Several ways to the same key set, of which one is used at a time. */
export class InTurn implements Transport {
  readonly #transports: readonly Transport[];
  #at = 0;

  /** At least one; the first is used first. */
  constructor(transports: readonly Transport[]) {
    this.#transports = transports;
  }

  /** Uses the next one for calls from now on. */
  next(): void {
    this.#at = (this.#at + 1) % this.#transports.length;
  }

  readonly unary: Transport["unary"] = (...call) => this.#now.unary(...call);

  readonly stream: Transport["stream"] = (...call) => this.#now.stream(...call);

  get #now(): Transport {
    return this.#transports[this.#at] as Transport;
  }
}
