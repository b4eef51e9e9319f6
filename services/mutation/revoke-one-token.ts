import type { Caller } from "../core/caller.ts";
import { IchorError } from "../core/errors.ts";
import type { KeyId, TenantId, TokenId } from "../core/ids.ts";
import { tokenMemoryMs } from "../core/signing-key.ts";
import type { StoreTransaction } from "../store/port.ts";
import { keyNotFound, requireMayTouch } from "./mutate-key.ts";
import type { Outcome } from "./run-once.ts";

/** The most tokens of one key that are revoked by themselves at a time. */
export const revokedTokensMax = 1_000;

/**
 * Revokes one token of a key of the tenant, until it has surely ended by itself. Throws KEY_NOT_FOUND,
 * RESERVED_SCOPE_NOT_COVERED, and TOO_MANY_TOKEN_REVOCATIONS if the key has too many.
 */
export async function revokeOneToken(
  tx: StoreTransaction,
  { caller, tenantId }: { readonly caller: Caller; readonly tenantId: TenantId },
  { keyId, tokenId }: { readonly keyId: KeyId; readonly tokenId: TokenId },
  revision: bigint,
  nowMs: number,
): Promise<Outcome<{ revision: bigint }>> {
  const key = await tx.getKey(keyId);
  if (key === undefined || key.tenantId !== tenantId) throw keyNotFound();
  requireMayTouch(caller, key);
  if (await tx.tokens.isTokenRevoked(tenantId, keyId, tokenId))
    return { result: { revision: revision - 1n }, unchanged: true };
  if ((await tx.tokens.countTokenRevocations(tenantId, keyId, nowMs)) >= revokedTokensMax) {
    throw new IchorError("TOO_MANY_TOKEN_REVOCATIONS", "too many revoked tokens of one key; end all of them instead");
  }
  const revocation = { keyId, tokenId, forgetTimeMs: nowMs + tokenMemoryMs };
  await tx.tokens.insertTokenRevocation(tenantId, revocation);
  return {
    result: { revision },
    change: { kind: "token", tenantId, event: "revoked", tokens: [revocation] },
    target: tokenId,
  };
}
