import { lengthPrefixed } from "../derive-key.ts";

/** What the signature of an event of a feed says. */
export interface FeedStatement {
  readonly kind: "snapshot" | "delta" | "heartbeat";
  /** Whose feed it is: a store's one feed key signs for all of its tenants. */
  readonly issuer: string;
  readonly tenantId: string;
  /** `public`, or `aud:` and the audience. */
  readonly feed: string;
  readonly storeEpoch: string;
  /** Up to where the feed was told before; 0 for a snapshot. */
  readonly prevRevision: bigint;
  readonly revision: bigint;
  /** Of the log at `revision`, 32 bytes. */
  readonly hash: Uint8Array;
  /** Of the feed's items after it, 32 bytes. */
  readonly digest: Uint8Array;
  /** Ms since the epoch. */
  readonly asOfMs: number;
  /** See ContentHash; 32 bytes. */
  readonly contentHash: Uint8Array;
}

/** What signs events of feeds; undefined: nothing here can. */
export type SignFeed = (statement: Uint8Array) => FeedSignature | undefined;

/** The signature of an event, as the stream has it. */
export interface FeedSignature {
  /** Ed25519 (RFC 8032), 64 bytes. */
  readonly signature: Uint8Array;
  /** RFC 7638 thumbprint of the key. */
  readonly feedKeyId: string;
}

/** What begins everything that a feed key signs as an event. */
const context = Buffer.from("ichor/v1/feed\0");
const kinds = { snapshot: 1, delta: 2, heartbeat: 3 } as const;

/**
 * Gives the bytes that are signed: `ichor/v1/feed`, byte 0, kind (1 snapshot, 2 delta, 3 heartbeat); issuer, tenant id, feed
 * and store epoch, each with its length before it (2 bytes); previous revision and revision (8 bytes each); hash, digest,
 * ms of `as_of` (8 bytes), content hash. Numbers are big-endian. Throws TypeError for what no server tells.
 */
export function feedStatementBytes(statement: FeedStatement): Buffer {
  const { kind, issuer, tenantId, feed, storeEpoch, prevRevision, revision, asOfMs } = statement;
  const { hash, digest, contentHash } = statement;
  const names = [issuer, tenantId, feed, storeEpoch];
  const hashes = [hash, digest, contentHash];
  const numbers = [prevRevision, revision, BigInt(asOfMs)];
  if (names.some((name) => Buffer.byteLength(name) > 0xffff)) throw new TypeError("a name is too long");
  if (hashes.some(({ length }) => length !== 32)) throw new TypeError("a hash must have 32 bytes");
  if (numbers.some((number) => number < 0n || number > 2n ** 63n - 1n)) throw new TypeError("a number is out of range");
  return Buffer.concat([
    context,
    Uint8Array.of(kinds[kind]),
    lengthPrefixed(names),
    uint64(prevRevision),
    uint64(revision),
    hash,
    digest,
    uint64(BigInt(asOfMs)),
    contentHash,
  ]);
}

function uint64(value: bigint): Uint8Array {
  const bytes = Buffer.allocUnsafe(8);
  bytes.writeBigUInt64BE(value);
  return bytes;
}
