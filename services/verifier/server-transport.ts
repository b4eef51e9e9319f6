import { connect } from "node:net";
import { Code, ConnectError, type Transport } from "@connectrpc/connect";
import { createConnectTransport, Http2SessionManager } from "@connectrpc/connect-node";

/**
 * A connection on which calls wait, and nothing was heard for so long, is given up, in ms. One that ended unheard, as by a
 * machine that is gone or a firewall that has forgotten it, would else be used until TCP gives up, a quarter of an hour
 * later. Below the time that a question may take, and above the 2 s between the heartbeats of a key set.
 */
export const silenceMsMax = 4_000;

/** The largest message that is read, in bytes; those of a server are a tenth of it at most. */
const messageBytesMax = 64 * 1024 * 1024;

/** Certificates in PEM. */
export interface TransportTls {
  readonly ca?: Buffer;
  readonly cert?: Buffer;
  readonly key?: Buffer;
}

/** Where a server or a side-car is: at a base URL, or on a Unix socket. */
export type TransportPlace =
  | { readonly url: string; readonly tls?: TransportTls | undefined }
  | { readonly socketPath: string };

/** A connection, and what is known of its life. Times are of a clock that only goes forward. */
interface Line {
  readonly transport: Transport;
  readonly session: Http2SessionManager;
  /** Calls that wait. */
  waiting: number;
  /** Since when they, or one after another, wait without a word; undefined: nobody does. */
  silentSinceMs: number | undefined;
  /** When the last one ended without a word. */
  unheardMs: number;
}

/** The way to a server or a side-car, by Connect over HTTP/2 on one connection at a time. */
export class ServerTransport implements Transport {
  readonly #monotonicMs: () => number;
  #place: TransportPlace;
  #line: Line;

  constructor(place: TransportPlace, monotonicMs: () => number = () => performance.now()) {
    this.#monotonicMs = monotonicMs;
    this.#place = place;
    this.#line = lineTo(place);
  }

  /** Uses another connection from now on, with other certificates; calls and streams that are open go on. */
  renew(tls: TransportTls): void {
    this.#place = { ...this.#place, tls };
    this.#line = lineTo(this.#place);
  }

  readonly unary: Transport["unary"] = async (...call) => {
    const line = this.#begin();
    try {
      const response = await line.transport.unary(...call);
      this.#end(line, true);
      return response;
    } catch (error) {
      this.#end(line, isWord(error));
      throw error;
    }
  };

  readonly stream: Transport["stream"] = async (...call) => {
    const line = this.#begin();
    try {
      const response = await line.transport.stream(...call);
      this.#hear(line);
      return { ...response, message: this.#heard(line, response.message) };
    } catch (error) {
      this.#end(line, isWord(error));
      throw error;
    }
  };

  #begin(): Line {
    const line = this.#line;
    const now = this.#monotonicMs();
    // After a while without calls nobody has waited.
    if (line.waiting === 0 && now - line.unheardMs > silenceMsMax) line.silentSinceMs = undefined;
    line.silentSinceMs ??= now;
    line.waiting++;
    return line;
  }

  /** Something came: those that still wait do so from now on. */
  #hear(line: Line): void {
    line.silentSinceMs = line.waiting > 0 ? this.#monotonicMs() : undefined;
  }

  /** A call ended, with a word from the other side or without. */
  #end(line: Line, heard: boolean): void {
    line.waiting--;
    if (heard) {
      this.#hear(line);
      return;
    }
    line.unheardMs = this.#monotonicMs();
    const silentMs = line.unheardMs - (line.silentSinceMs ?? line.unheardMs);
    if (line !== this.#line || silentMs < silenceMsMax) return;
    this.#line = lineTo(this.#place);
    line.session.abort();
  }

  async *#heard<T>(line: Line, messages: AsyncIterable<T>): AsyncIterable<T> {
    let heard = false;
    try {
      for await (const message of messages) {
        this.#hear(line);
        yield message;
      }
      heard = true;
    } catch (error) {
      heard = isWord(error);
      throw error;
    } finally {
      this.#end(line, heard);
    }
  }
}

/** Whether an error says that something was heard: not that of a call that was ended here, by its caller or its time. */
function isWord(error: unknown): boolean {
  const { code } = ConnectError.from(error);
  return code !== Code.Canceled && code !== Code.DeadlineExceeded;
}

function lineTo(place: TransportPlace): Line {
  // The host of a Unix socket is not looked at.
  const baseUrl = "url" in place ? place.url : "http://localhost";
  const nodeOptions =
    "url" in place ? { ...place.tls } : { createConnection: () => connect({ path: place.socketPath }) };
  const session = new Http2SessionManager(baseUrl, {}, nodeOptions);
  const transport = createConnectTransport({
    ...{ baseUrl, httpVersion: "2", sessionManager: session, readMaxBytes: messageBytesMax },
  });
  return { transport, session, waiting: 0, silentSinceMs: undefined, unheardMs: Number.NEGATIVE_INFINITY };
}
