import type { ApiKey, Revocation } from "../core/api-key.ts";
import { keysDigest } from "../core/change-chain.ts";
import type { TenantId } from "../core/ids.ts";
import { revokeKey } from "../core/key-life.ts";
import type { Call } from "../rpc/call.ts";
import type { StoreTransaction } from "../store/port.ts";
import { requireMayTouch, requireRootsRemain } from "./mutate-key.ts";
import type { Outcome } from "./run-once.ts";

/**
 * Revokes several keys of one tenant in an open transaction, by the rules of RevokeApiKey; those that were revoked stay as
 * they are. Gives the keys that it changed, as they are now, and what the change is to the log; undefined if none was.
 * Throws RESERVED_SCOPE_NOT_COVERED, LAST_ROOT_CREDENTIAL.
 */
export async function revokeKeys(
  tx: StoreTransaction,
  call: Call,
  keys: readonly ApiKey[],
  revocation: Revocation,
  revision: bigint,
): Promise<{ readonly revoked: readonly ApiKey[]; readonly logged: Logged } | undefined> {
  const before = keys.filter(({ state }) => state !== "REVOKED");
  if (before.length === 0) return undefined;
  for (const key of before) requireMayTouch(call.caller, key);
  const revoked = before.map((key) => ({ ...revokeKey(key, revocation), revision }));
  await requireRootsRemain(
    tx,
    before.map((key) => ({ before: key, after: undefined })),
    revocation.timeMs,
  );
  await tx.updateRevokedKeys(revoked);
  await tx.eraseIdempotentAnswers(...revoked.map(({ id }) => id));
  return { revoked, logged: logged(call.tenantId, before, revoked) };
}

type Logged = Omit<Extract<Outcome<unknown>, { change: unknown }>, "result">;

function logged(tenantId: TenantId, before: readonly ApiKey[], after: readonly ApiKey[]): Logged {
  return {
    change: { kind: "key", tenantId, event: "revoked", keyIds: after.map(({ id }) => id) },
    target: tenantId,
    beforeDigest: keysDigest(before),
    afterDigest: keysDigest(after),
  };
}
