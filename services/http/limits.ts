/** What a listener allows its clients. Sizes in bytes, times in ms. */
export interface ListenerLimits {
  /** Connections at once, both protocols together; more are closed at accept. */
  readonly connectionsMax: number;
  /** Concurrent streams of one HTTP/2 connection. */
  readonly streamsPerConnectionMax: number;
  /** All headers of a request together: a credential of 8 KiB and as much beside it. */
  readonly headerBytesMax: number;
  /** Until a new connection has sent enough to tell its protocol; also for the TLS handshake. */
  readonly firstByteMs: number;
  /** Until an HTTP/1.1 request has sent its headers. */
  readonly headersMs: number;
  /** Until an HTTP/1.1 request has sent its body. */
  readonly requestMs: number;
  /** How long an idle HTTP/1.1 connection is kept. */
  readonly keepAliveMs: number;
  /** How long an HTTP/2 connection without streams is kept. */
  readonly sessionIdleMs: number;
  /** Between pings of an HTTP/2 connection; one that isn't answered before the next ends it. */
  readonly pingMs: number;
}

const second = 1_000;

export const listenerLimits: ListenerLimits = {
  connectionsMax: 10_000,
  streamsPerConnectionMax: 250,
  headerBytesMax: 16 * 1024,
  firstByteMs: 10 * second,
  headersMs: 10 * second,
  requestMs: 60 * second,
  keepAliveMs: 75 * second,
  sessionIdleMs: 300 * second,
  pingMs: 30 * second,
};
