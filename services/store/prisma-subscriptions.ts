import type { PrismaClient } from "../../gen/prisma/sqlite/client.ts";
import type { KeyId, SubscriptionId, TenantId } from "../core/ids.ts";
import { answering } from "./prisma-errors.ts";
import { insertRows } from "./prisma-transaction.ts";
import type { ServerPresence, Subscription, SubscriptionStore } from "./subscription-port.ts";

/** Rows about who follows, over Prisma. */
export class PrismaSubscriptions implements SubscriptionStore {
  readonly #client: PrismaClient;

  constructor(client: PrismaClient) {
    this.#client = client;
  }

  putSubscriptions(subscriptions: readonly Subscription[]): Promise<void> {
    return answering(() =>
      this.#client.$transaction(async (db) => {
        await db.subscription.deleteMany({ where: { id: { in: subscriptions.map(({ id }) => id) } } });
        await insertRows(db, "subscription", subscriptions.map(rowOf));
      }),
    );
  }

  deleteSubscriptions(ids: readonly SubscriptionId[]): Promise<void> {
    return answering(async () => {
      await this.#client.subscription.deleteMany({ where: { id: { in: [...ids] } } });
    });
  }

  getSubscription(id: SubscriptionId): Promise<Subscription | undefined> {
    return answering(async () => {
      const row = await this.#client.subscription.findUnique({ where: { id } });
      return row === null ? undefined : subscriptionOf(row);
    });
  }

  listSubscriptions(tenantId: TenantId, afterId: string, limit: number): Promise<readonly Subscription[]> {
    return answering(async () => {
      const rows = await this.#client.subscription.findMany({
        where: { tenantId, id: { gt: afterId } },
        orderBy: { id: "asc" },
        take: limit,
      });
      return rows.map(subscriptionOf);
    });
  }

  putServer({ id, seenTimeMs, revision, wantedRevision }: ServerPresence): Promise<void> {
    return answering(async () => {
      const data = { seenTimeMs: BigInt(seenTimeMs), revision, wantedRevision };
      const { count } = await this.#client.serverPresence.updateMany({ where: { id }, data });
      if (count === 0) await this.#client.serverPresence.createMany({ data: [{ id, ...data }] });
    });
  }

  deleteServer(id: string): Promise<void> {
    return answering(async () => {
      await this.#client.serverPresence.deleteMany({ where: { id } });
    });
  }

  listServers(): Promise<readonly ServerPresence[]> {
    return answering(async () => {
      const rows = await this.#client.serverPresence.findMany({ orderBy: { id: "asc" } });
      return rows.map(({ seenTimeMs, ...row }) => ({ ...row, seenTimeMs: Number(seenTimeMs) }));
    });
  }

  forgetUnseen(beforeMs: number): Promise<void> {
    return answering(async () => {
      const where = { seenTimeMs: { lt: BigInt(beforeMs) } };
      await this.#client.subscription.deleteMany({ where });
      await this.#client.serverPresence.deleteMany({ where });
    });
  }
}

function rowOf({ feeds, maxStalenessMs, createTimeMs, seenTimeMs, ...row }: Subscription) {
  return {
    ...row,
    feeds: JSON.stringify(feeds),
    maxStalenessMs: BigInt(maxStalenessMs),
    createTimeMs: BigInt(createTimeMs),
    seenTimeMs: BigInt(seenTimeMs),
  };
}

function subscriptionOf(row: ReturnType<typeof rowOf> | StoredRow): Subscription {
  return {
    id: row.id as SubscriptionId,
    tenantId: row.tenantId as TenantId,
    keyId: row.keyId as KeyId,
    serverId: row.serverId,
    feeds: JSON.parse(row.feeds),
    clientVersion: row.clientVersion,
    address: row.address,
    maxStalenessMs: Number(row.maxStalenessMs),
    onStale: row.onStale as Subscription["onStale"],
    createTimeMs: Number(row.createTimeMs),
    seenTimeMs: Number(row.seenTimeMs),
    ackedRevision: row.ackedRevision,
  };
}

/** As Prisma gives it: ids and choices are plain text there. */
type StoredRow = {
  readonly [K in keyof ReturnType<typeof rowOf>]: ReturnType<typeof rowOf>[K] extends string
    ? string
    : ReturnType<typeof rowOf>[K];
};
