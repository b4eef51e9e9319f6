import type { Transport } from "@connectrpc/connect";

/** Lets every call be made with the side-car's own key as it is now, which may be rotated while the side-car runs. */
export class OwnCredential implements Transport {
  readonly #transport: Transport;
  #credential: string;

  constructor(transport: Transport, credential: string) {
    this.#transport = transport;
    this.#credential = credential;
  }

  /** For calls and streams that begin from now on. */
  renew(credential: string): void {
    this.#credential = credential;
  }

  readonly unary: Transport["unary"] = (method, signal, timeoutMs, header, ...more) =>
    this.#transport.unary(method, signal, timeoutMs, this.#authorize(header), ...more);

  readonly stream: Transport["stream"] = (method, signal, timeoutMs, header, ...more) =>
    this.#transport.stream(method, signal, timeoutMs, this.#authorize(header), ...more);

  #authorize(header: ConstructorParameters<typeof Headers>[0]): Headers {
    const headers = new Headers(header);
    headers.set("authorization", `Bearer ${this.#credential}`);
    return headers;
  }
}
