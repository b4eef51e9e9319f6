import type { TenantId } from "../core/ids.ts";
import type { ServerPresence, Subscription, SubscriptionStore } from "../store/subscription-port.ts";
import { presenceIntervalMs, serverLives } from "./subscription-ledger.ts";

/** Time between two looks at those who haven't applied it, in ms; an acknowledgement here makes it look sooner. */
const lookIntervalMs = 100;
const page = 500;

export interface AppliedDeps {
  readonly store: Pick<SubscriptionStore, "listSubscriptions">;
  readonly ledger: {
    servers(): Promise<readonly ServerPresence[]>;
    want(revision: bigint): Promise<() => void>;
    flush(): Promise<void>;
    /** Resolves at the next acknowledgement here, or after so many ms. */
    nextAcknowledgement(withinMs: number): Promise<void>;
  };
  /** Ms since the epoch. */
  readonly now: () => number;
}

/** Whether a change was applied everywhere, and if not, who may not have it: ids of servers and subscriptions. */
export interface Applied {
  readonly everywhere: boolean;
  readonly laggards: readonly string[];
}

/**
 * Waits until every server's tail has come to `revision`, and every subscription of the tenant has acknowledged it or was
 * silent for longer than its own `max_staleness`, so that it no longer answers on what it knew before; one that goes on
 * however stale it is counts until it acknowledges. Never claims more than was seen.
 *
 * @param remainingMs what is left of the time that the caller waits
 */
export async function awaitApplied(
  { store, ledger, now }: AppliedDeps,
  tenantId: TenantId,
  revision: bigint,
  remainingMs: () => number,
): Promise<Applied> {
  const release = await ledger.want(revision);
  try {
    for (;;) {
      // Servers first: who subscribes at a server that has come there begins with the change.
      const servers = await ledger.servers();
      const nowMs = now();
      const lagging = servers.filter((server) => serverLives(server, nowMs) && server.revision < revision);
      const laggards = lagging.map(({ id }) => id);
      if (laggards.length === 0) {
        await ledger.flush();
        for (let afterId = "", more = true; more; ) {
          const rows = await store.listSubscriptions(tenantId, afterId, page);
          laggards.push(...rows.filter((row) => mayLackIt(row, revision, servers, now())).map(({ id }) => id));
          afterId = rows.at(-1)?.id ?? "";
          more = rows.length === page;
        }
      }
      if (laggards.length === 0) return { everywhere: true, laggards };
      const leftMs = remainingMs();
      if (leftMs <= 0) return { everywhere: false, laggards };
      await ledger.nextAcknowledgement(Math.min(lookIntervalMs, leftMs));
    }
  } finally {
    release();
  }
}

function mayLackIt(
  subscription: Subscription,
  revision: bigint,
  servers: readonly ServerPresence[],
  nowMs: number,
): boolean {
  if (subscription.ackedRevision >= revision) return false;
  if (subscription.onStale === "ALLOW") return true;
  return nowMs - heardMs(subscription, servers, nowMs) <= subscription.maxStalenessMs;
}

/** Until when a subscription may have heard that what it knows is fresh. */
function heardMs({ serverId, seenTimeMs }: Subscription, servers: readonly ServerPresence[], nowMs: number): number {
  const server = servers.find(({ id }) => id === serverId);
  if (server === undefined) return seenTimeMs;
  return serverLives(server, nowMs) ? nowMs : Math.max(seenTimeMs, server.seenTimeMs + presenceIntervalMs);
}
