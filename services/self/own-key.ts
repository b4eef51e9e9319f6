import type { ApiKey, SecretVersion } from "../core/api-key.ts";
import type { Caller } from "../core/caller.ts";
import { IchorError } from "../core/errors.ts";
import { currentVersion } from "../core/key-life.ts";
import type { Call } from "../rpc/call.ts";

/** The caller's own key, and the secret that it presented. */
export interface OwnKey {
  readonly key: ApiKey;
  readonly version: SecretVersion;
}

/**
 * Gives the key that a caller presented. Throws CREDENTIAL_KIND_NOT_ALLOWED for what was derived from one, and
 * TENANT_NOT_ALLOWED if another tenant is named: what is one's own is in one's own tenant.
 */
export function ownKey({ caller, tenantId }: Pick<Call, "caller" | "tenantId">): OwnKey {
  const { holder } = caller;
  if (holder?.version === undefined || holder.token !== undefined) throw kindNotAllowed();
  if (tenantId !== caller.tenantId) throw new IchorError("TENANT_NOT_ALLOWED", "a key is of its own tenant");
  return { key: holder.key, version: holder.version };
}

/** The same for what changes something, which a PUBLIC key can't: everybody may have it. */
export function ownSecretKey(call: Pick<Call, "caller" | "tenantId">): OwnKey {
  const own = ownKey(call);
  if (own.key.visibility === "PUBLIC") throw kindNotAllowed();
  return own;
}

/** Throws SECRET_SUPERSEDED unless the caller presented the newest secret of its key as it is now. */
export function requireNewest(caller: Caller, key: ApiKey): void {
  if (caller.holder?.version?.number === currentVersion(key).number) return;
  throw new IchorError("SECRET_SUPERSEDED", "the secret has been superseded; use the newest one");
}

function kindNotAllowed(): IchorError {
  return new IchorError("CREDENTIAL_KIND_NOT_ALLOWED", "this kind of credential may not call the method");
}
