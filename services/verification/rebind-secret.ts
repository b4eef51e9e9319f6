import type { ApiKey, SecretVersion } from "../core/api-key.ts";
import type { PresentedImportedKey, PresentedIssuedKey } from "../core/credential.ts";
import { needsRebind, type Peppers } from "../core/digest.ts";
import type { KeyId } from "../core/ids.ts";
import { presentedDigest } from "../core/verification.ts";
import type { Log } from "../rpc/log.ts";
import type { Store } from "../store/port.ts";

/** Binds a secret that was just seen to the current pepper, in the background; a later use tries again. */
export type RebindSecret = (
  presented: PresentedIssuedKey | PresentedImportedKey,
  key: ApiKey,
  version: SecretVersion,
) => void;

export interface RebindDeps {
  readonly store: Pick<Store, "rebindSecret">;
  readonly peppers: Peppers;
  /** Called when an attempt has ended: the row is another one now, whoever changed it, and the log doesn't tell. */
  readonly forgetKey: (id: KeyId) => void;
  readonly log: Pick<Log, "warn">;
}

/** Attempts at once, of all secrets: after a change of peppers every secret that is seen wants one. */
const underWayMax = 4;

/** Makes RebindSecret. One attempt per secret at a time: a busy key must not queue a write per use. */
export function rebindSecret({ store, peppers, forgetKey, log }: RebindDeps): RebindSecret {
  const underWay = new Set<string>();
  return (presented, key, version) => {
    const current = peppers.current();
    const id = `${key.id}/${version.number}`;
    if (!needsRebind(version, current.id) || underWay.has(id) || underWay.size >= underWayMax) return;
    underWay.add(id);
    const digest = presentedDigest(presented, key.tenantId, current);
    store
      .rebindSecret(key.id, version.number, version.pepperId, current.id, digest)
      .catch((err: unknown) => log.warn({ keyId: key.id, err }, "a secret could not be bound to the current pepper"))
      .finally(() => {
        underWay.delete(id);
        forgetKey(key.id);
      });
  };
}
