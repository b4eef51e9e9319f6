/** Most caveats of one macaroon: bounds what a hostile token costs before its signature is known to be wrong. */
export const caveatsMax = 64;

/** Most bytes of the binary form. The text form is bounded by the size of a credential, which is stricter. */
export const macaroonBytesMax = 8192;

/** Bytes of a signature: HMAC-SHA-256. */
export const signatureBytes = 32;

/** One caveat as read: nothing of it may be trusted before the signature is checked. */
export interface RawCaveat {
  /** First-party: the condition, as text in UTF-8. Third-party: opaque. */
  readonly id: Uint8Array;
  /** Present, and not empty, only in a third-party caveat. */
  readonly verificationId?: Uint8Array;
  /** Where to discharge a third-party caveat; not covered by the signature. */
  readonly location?: string;
}

/** A macaroon as read from any of its forms (Birgisson et al., "Macaroons", NDSS 2014). Not yet authentic. */
export interface Macaroon {
  /** Where it was made, as a hint: the signature does not cover it. Empty: none. */
  readonly location: string;
  /** Names the root key; what else it holds is the issuer's affair. */
  readonly identifier: Uint8Array;
  readonly caveats: readonly RawCaveat[];
  /** 32 bytes. */
  readonly signature: Uint8Array;
}
