import { IchorError } from "../core/errors.ts";
import { issuerOf } from "../core/tenant.ts";
import { feedsOf } from "../subscribers/watch-draft.ts";
import type { KeySetSource } from "../subscribers/watch-key-set.ts";
import type { DerivationDeps } from "./deps.ts";

/** What serves WatchKeySet and AckKeySet by the store's log. */
export function storedKeySets(deps: DerivationDeps): KeySetSource {
  const { hub, ledger, schedule, random, now, freshness, issuer } = deps;
  return {
    async admit(_draft, { tenantId }) {
      const { value: tenant } = await deps.records.tenant(tenantId, false);
      if (tenant === undefined) throw new IchorError("TENANT_NOT_FOUND", "no such tenant");
      return { tenantId: tenant.id, issuer: issuerOf(issuer(), tenant) };
    },
    book: {
      open(id, draft, { tenantId, caller, clientAddress }) {
        const nowMs = now();
        const { clientVersion, maxStalenessMs, onStale, replaces } = draft;
        const { serverId } = ledger;
        // Property by property: objects that are put together have each a shape of their own, of some 400 bytes.
        const subscription = {
          id,
          tenantId,
          keyId: caller.keyId,
          serverId,
          feeds: feedsOf(draft),
          clientVersion,
          address: clientAddress,
          maxStalenessMs,
          onStale,
          createTimeMs: nowMs,
          seenTimeMs: nowMs,
          ackedRevision: 0n,
        };
        return ledger.open(subscription, replaces);
      },
      disconnected: (id) => ledger.disconnected(id),
      acknowledge: (...acknowledged) => ledger.acknowledge(...acknowledged),
      leave: (id, keyId) => ledger.leave(id, keyId),
    },
    begin: (subscriber, order) => hub.begin(subscriber, order),
    revision: () => freshness.revision,
    tally: hub.tally,
    ...{ schedule, random, now },
  };
}
