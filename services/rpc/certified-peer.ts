/** What the verified client certificate of a connection says. */
export interface CertifiedPeer {
  /** Its subject alternative names, as `URI:spiffe://…` or `DNS:…`. */
  readonly names: readonly string[];
  /** When it ends, in ms since the epoch: a connection may outlive it. */
  readonly endMs: number;
}

const certifiedPeer = Symbol("certified peer");

type Marked = object & { [certifiedPeer]?: CertifiedPeer };

/** Notes on a connection whom its client certificate names; only for one that was verified. */
export function certify(socket: object, peer: CertifiedPeer): void {
  (socket as Marked)[certifiedPeer] = peer;
}

/** Whom the connection's client certificate names; undefined if it has shown none. Also of the stand-in that HTTP/2 gives for it. */
export function certifiedPeerOf(socket: object | undefined | null): CertifiedPeer | undefined {
  try {
    return (socket as Marked | undefined | null)?.[certifiedPeer];
  } catch {
    // The session is over.
    return undefined;
  }
}
