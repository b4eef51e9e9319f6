import type { VerificationCode } from "../core/verification-code.ts";

/** What a request needs of the credential that is presented with it. */
export interface VerifyDemand {
  /** Scopes that must all be covered; no patterns. */
  readonly scopes?: readonly string[];
  /** Address of the client, if known. */
  readonly clientIp?: string;
  /** Facts about the request, for constraints on them. */
  readonly context?: Readonly<Record<string, string>>;
  /** What it costs under the rate limits of an API key, 0–1 000 000; default 1. */
  readonly cost?: number;
}

/** What was found. `code` is a name of `ichor.v1.VerificationCode` without prefix; tolerate ones that you don't know. */
export interface VerifyResult {
  readonly valid: boolean;
  readonly code: VerificationCode;
  /** Absent if it can't be told. */
  readonly kind?: "JWT" | "MACAROON" | "ISSUED_KEY" | "IMPORTED_KEY";
  /** The key, or that which the token was derived from; this and the following only of an authentic credential. */
  readonly keyId?: string;
  readonly ownerId?: string;
  readonly tenantId?: string;
  /** Of a token. */
  readonly tokenId?: string;
  /** What the credential allows. */
  readonly scopes?: readonly string[];
  /** When it ends; absent: never. */
  readonly expireTime?: Date;
  /** Labels and metadata of an API key. */
  readonly labels?: Readonly<Record<string, string>>;
  readonly metadata?: Readonly<Record<string, unknown>>;
  /** What is left of an API key's rate limits, if it has any and they were looked at. */
  readonly rateLimits?: readonly RateLimitLeft[];
  /** Revision of the store up to which revocations are known. */
  readonly revision: bigint;
  /** How old that knowledge is, in seconds. */
  readonly age: number;
}

export interface RateLimitLeft {
  readonly name: string;
  readonly limit: number;
  /** Uses left. */
  readonly remaining: number;
  /** When all of it is back. */
  readonly resetTime?: Date;
  /** Of one that refused: when it has room for the same again; absent: never. */
  readonly retryTime?: Date;
}
