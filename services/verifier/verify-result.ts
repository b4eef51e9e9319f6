import type { VerificationCode } from "../core/verification-code.ts";

/** What a request needs of the token that is presented with it. */
export interface VerifyDemand {
  /** Scopes that must all be covered; no patterns. */
  readonly scopes?: readonly string[];
  /** Address of the client, if known. */
  readonly clientIp?: string;
  /** Facts about the request, for constraints on them. */
  readonly context?: Readonly<Record<string, string>>;
}

/** What was found. `code` is a name of `ichor.v1.VerificationCode` without prefix; tolerate ones that you don't know. */
export interface VerifyResult {
  readonly valid: boolean;
  readonly code: VerificationCode;
  /** Absent if it is neither. */
  readonly kind?: "JWT" | "MACAROON";
  /** The key that the token was derived from; this and the following only of an authentic token. */
  readonly keyId?: string;
  readonly ownerId?: string;
  readonly tenantId?: string;
  readonly tokenId?: string;
  /** What the token allows. */
  readonly scopes?: readonly string[];
  readonly expireTime?: Date;
  /** Revision of the store up to which revocations are known. */
  readonly revision: bigint;
  /** How old that knowledge is, in seconds. */
  readonly age: number;
}
