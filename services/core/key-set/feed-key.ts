import { createPublicKey, type KeyObject, verify } from "node:crypto";
import { jwkThumbprint } from "../jwt/verification-key.ts";

/** A key that signs feeds, signed or will sign them, as verifiers are told. */
export interface FeedKey {
  /** Ed25519 (RFC 8032), 32 bytes. */
  readonly publicKey: Uint8Array;
  /** By which its predecessor vouches for it; absent for a store's first one. */
  readonly handover?: FeedKeyHandover | undefined;
}

/** What one feed key says of the next. */
export interface FeedKeyHandover {
  /** Thumbprint of the key that says so. */
  readonly predecessorId: string;
  /** Its signature of `handoverBytes`, 64 bytes. */
  readonly signature: Uint8Array;
}

const context = Buffer.from("ichor/v1/feed-key\0");

/** Gives the RFC 7638 thumbprint of a feed key: what verifiers pin. Throws TypeError unless it has 32 bytes. */
export function feedKeyId(publicKey: Uint8Array): string {
  return jwkThumbprint({ ...jwkOf(publicKey), alg: "EdDSA" });
}

/** Gives the key to check signatures with. Throws TypeError unless it has 32 bytes. */
export function importFeedKey(publicKey: Uint8Array): KeyObject {
  return createPublicKey({ key: jwkOf(publicKey), format: "jwk" });
}

/** Gives what a predecessor signs of its successor: `ichor/v1/feed-key`, byte 0, the public key. */
export function handoverBytes(successor: Uint8Array): Buffer {
  return Buffer.concat([context, successor]);
}

/** Whether the predecessor vouches for the key. */
export function isHandedOver({ publicKey, handover }: FeedKey, predecessor: KeyObject): boolean {
  return handover !== undefined && verify(null, handoverBytes(publicKey), predecessor, handover.signature);
}

function jwkOf(publicKey: Uint8Array) {
  if (publicKey.length !== 32) throw new TypeError("a feed key has 32 bytes");
  return { kty: "OKP", crv: "Ed25519", x: Buffer.from(publicKey).toString("base64url") };
}
