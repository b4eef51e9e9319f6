import type { Transport } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import type { ClientTls } from "../http/tls-files.ts";

/** The way to a server, by Connect over HTTP/2. */
export class UpstreamTransport implements Transport {
  readonly #url: string;
  #now: Transport;

  constructor(url: string, tls?: ClientTls) {
    this.#url = url;
    this.#now = transportTo(url, tls);
  }

  /** Shows and trusts other certificates from now on; calls and streams that are open go on. */
  renewTls(tls: ClientTls): void {
    this.#now = transportTo(this.#url, tls);
  }

  readonly unary: Transport["unary"] = (...call) => this.#now.unary(...call);
  readonly stream: Transport["stream"] = (...call) => this.#now.stream(...call);
}

function transportTo(baseUrl: string, tls: ClientTls = {}): Transport {
  return createConnectTransport({ baseUrl, httpVersion: "2", nodeOptions: { ...tls } });
}
