import type { KeyId, SubscriptionId, TenantId } from "../core/ids.ts";

/** Who follows a key set, as of when a server wrote it last. */
export interface Subscription {
  readonly id: SubscriptionId;
  readonly tenantId: TenantId;
  /** The credential that subscribed. */
  readonly keyId: KeyId;
  /** Which server process it is connected to; empty: none. */
  readonly serverId: string;
  readonly feeds: readonly string[];
  readonly clientVersion: string;
  readonly address: string;
  readonly maxStalenessMs: number;
  /** What it does when it is too stale. */
  readonly onStale: "DENY" | "ALLOW" | "ONLINE";
  readonly createTimeMs: number;
  /** When it subscribed, last acknowledged something, or its stream ended. */
  readonly seenTimeMs: number;
  /** Up to which revision it has acknowledged the feed `public`. */
  readonly ackedRevision: bigint;
}

/** A server that was silent for so long is gone, in ms. */
export const serverGoneMs = 15_000;

/** A server process that follows the log, as it says itself. */
export interface ServerPresence {
  readonly id: string;
  readonly seenTimeMs: number;
  /** Up to which revision its tail has come. */
  readonly revision: bigint;
  /** Up to which revision it wants acknowledgements at once; 0: nobody waits there. */
  readonly wantedRevision: bigint;
}

/** Rows about who follows; outside of the log, since no decision about a credential depends on them. */
export interface SubscriptionStore {
  /** Inserts rows, or takes the place of those with their ids. */
  putSubscriptions(subscriptions: readonly Subscription[]): Promise<void>;
  deleteSubscriptions(ids: readonly SubscriptionId[]): Promise<void>;
  getSubscription(id: SubscriptionId): Promise<Subscription | undefined>;
  /** Of a tenant, by id, those after `afterId`. */
  listSubscriptions(tenantId: TenantId, afterId: string, limit: number): Promise<readonly Subscription[]>;
  /** Inserts a server's row, or takes its place. */
  putServer(server: ServerPresence): Promise<void>;
  deleteServer(id: string): Promise<void>;
  listServers(): Promise<readonly ServerPresence[]>;
  /** Forgets subscriptions and servers that weren't seen since `beforeMs`. */
  forgetUnseen(beforeMs: number): Promise<void>;
}
