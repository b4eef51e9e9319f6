import type { Caller } from "../core/caller.ts";
import type { KeyId } from "../core/ids.ts";
import { clearKey, effectiveScopes } from "../core/verification.ts";
import type { CertifiedPeer } from "../rpc/certified-peer.ts";
import { callerOf, demandOnCaller, refused } from "./authenticate-caller.ts";
import type { VerificationDeps } from "./verify-presented.ts";

export interface CertifiedDeps extends VerificationDeps {
  /** Which keys names of certificates stand for; asked each time, since it may change. */
  readonly certificateKeys: () => readonly { readonly name: string; readonly keyId: KeyId }[];
}

/**
 * Gives the caller that a client certificate stands for: a key that may call now, from this address; undefined if it
 * stands for none. It has presented no secret, so it isn't the key's holder: methods about a caller's own credential are
 * not for it. Rejects with CREDENTIAL_REFUSED if the certificate or the key has ended, the key is disabled or not for
 * this address, or the certificate has names of several keys.
 */
export function authenticateCertified(
  deps: CertifiedDeps,
): (peer: CertifiedPeer, clientAddress: string) => Promise<Caller> | undefined {
  return ({ names, endMs }, clientAddress) => {
    const named = deps.certificateKeys().filter(({ name }) => names.includes(name));
    const [keyId, ...others] = new Set(named.map((each) => each.keyId));
    if (keyId === undefined) return undefined;
    if (others.length > 0 || deps.now() >= endMs) return Promise.reject(refused());
    return callerOfKey(deps, keyId, clientAddress);
  };
}

async function callerOfKey(deps: VerificationDeps, keyId: KeyId, clientAddress: string): Promise<Caller> {
  const key = (await deps.records.key(keyId, false)).value;
  const tenant = key && (await deps.records.tenant(key.tenantId, false)).value;
  // Which secret is meant doesn't matter to what ends a key; the newest is the last to end.
  const version = key?.secretVersions.reduce((newest, each) => (each.number > newest.number ? each : newest));
  if (key === undefined || tenant === undefined || version === undefined) throw refused();
  const demand = demandOnCaller(deps, tenant, clientAddress);
  if (clearKey({ key, version, tenant, demand, nowMs: deps.now() }) !== "VALID") throw refused();
  return callerOf(tenant, effectiveScopes(key), key.kind, { key, version }, false);
}
