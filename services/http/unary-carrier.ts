import type { IncomingHttpHeaders, ServerResponse } from "node:http";
import type { ServerHttp2Stream } from "node:http2";
import type { Carrier } from "../rpc/call.ts";
import { type CertifiedPeer, certifiedPeerOf } from "../rpc/certified-peer.ts";

/** What tells a call of the fast unary path from outside. It makes what is asked for, when it is asked for. */
export class UnaryCarrier implements Carrier {
  readonly peerAddress: string;
  readonly #headers: IncomingHttpHeaders;
  readonly #answer: ServerResponse | ServerHttp2Stream;
  readonly #endMs: number | undefined;
  #controller: AbortController | undefined;

  /** @param timeoutMs what the client allows, from now on; undefined: it doesn't say */
  constructor(
    headers: IncomingHttpHeaders,
    answer: ServerResponse | ServerHttp2Stream,
    peerAddress: string,
    timeoutMs: number | undefined,
  ) {
    this.peerAddress = peerAddress;
    this.#headers = headers;
    this.#answer = answer;
    this.#endMs = timeoutMs === undefined ? undefined : performance.now() + timeoutMs;
  }

  header(name: string): string | undefined {
    const value = this.#headers[name];
    return Array.isArray(value) ? value.join(", ") : value;
  }

  get aborted(): boolean {
    return this.#answer.destroyed;
  }

  get certified(): CertifiedPeer | undefined {
    const answer = this.#answer;
    return certifiedPeerOf("session" in answer ? answer.session?.socket : answer.socket);
  }

  get signal(): AbortSignal {
    this.#controller ??= this.#makeController();
    return this.#controller.signal;
  }

  onClose(callback: () => void): void {
    if (this.#answer.destroyed) callback();
    else this.#answer.on("close", callback);
  }

  timeoutMs(): number | undefined {
    return this.#endMs === undefined ? undefined : this.#endMs - performance.now();
  }

  #makeController(): AbortController {
    const controller = new AbortController();
    this.onClose(() => this.#answer.writableEnded || controller.abort(clientGone()));
    return controller;
  }
}

function clientGone(): Error {
  return Object.assign(new Error("the client went away"), { name: "AbortError" });
}
