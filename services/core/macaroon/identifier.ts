import type { KeyId, TenantId, TokenId } from "../ids.ts";

/** What the identifier of an Ichor macaroon says; `wire/macaroon-identifier.ts` reads and writes its bytes. */
export interface MacaroonIdentifier {
  readonly tenantId: TenantId;
  readonly keyId: KeyId;
  readonly tokenId: TokenId;
  /** Token epoch of the key at the time of issue. */
  readonly tokenEpoch: number;
  readonly ownerId: string;
  /** Which secret of the key was presented; 1 for its first. */
  readonly secretVersion: number;
  /** The macaroon master that the audience key comes from. */
  readonly masterId: string;
  /** The one audience whose key signs. */
  readonly audience: string;
  /** Generation of the audience key, from 1. */
  readonly generation: number;
  /** Seconds since the epoch. */
  readonly issueTimeSeconds: number;
}
