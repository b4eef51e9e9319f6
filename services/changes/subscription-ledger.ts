import { IchorError } from "../core/errors.ts";
import type { KeyId, SubscriptionId } from "../core/ids.ts";
import {
  type ServerPresence,
  type Subscription,
  type SubscriptionStore,
  serverGoneMs,
} from "../store/subscription-port.ts";
import { GroupedWrites } from "./grouped-writes.ts";

/** How often rows are written at most, and other servers looked at, in ms. */
export const ledgerIntervalMs = 1_000;
/** How often an unchanged server says that it lives, in ms. */
export const presenceIntervalMs = 5_000;
/** Subscriptions that are opened in one write. */
const openedAtOnceMax = 500;
/** How long who follows no more is remembered, in ms. */
export const subscriptionMemoryMs = 24 * 3_600_000;

export interface LedgerDeps {
  readonly store: SubscriptionStore;
  readonly serverId: string;
  /** Up to where this server's tail has come. */
  readonly revision: () => bigint;
  /** Ms since the epoch. */
  readonly now: () => number;
  /** Calls back once after so many ms and gives what cancels that. */
  readonly schedule: (callback: () => void, delayMs: number) => () => void;
  readonly log: { error(fields: object, message: string): void };
}

/** Who follows key sets, on all servers of the store, and how far they have come. */
export class SubscriptionLedger {
  readonly #deps: LedgerDeps;
  /** Those connected here, and those acknowledged for here since the last write. */
  readonly #known = new Map<SubscriptionId, Subscription>();
  readonly #dirty = new Set<SubscriptionId>();
  #servers: readonly ServerPresence[] = [];
  #written: ServerPresence | undefined;
  #wanted = new Map<symbol, bigint>();
  #running = true;
  #cancel: () => void = () => {};
  #underWay: Promise<void> = Promise.resolve();
  #onWanted: () => void = () => {};
  #onWant: (revision: bigint) => void = () => {};
  #lookIsDue = false;
  #ackWaiters: (() => void)[] = [];
  readonly #opening: GroupedWrites<{
    readonly subscription: Subscription;
    readonly replaced: SubscriptionId | undefined;
  }>;

  constructor(deps: LedgerDeps) {
    this.#deps = deps;
    const { store } = deps;
    this.#opening = new GroupedWrites(async (opened) => {
      // A server that nobody knows would be taken for one that has said nothing since its subscriptions were opened.
      if (this.#written === undefined) await this.#tellPresence();
      await store.putSubscriptions(opened.map(({ subscription }) => subscription));
      const replaced = opened.flatMap((one) => one.replaced ?? []);
      if (replaced.length > 0) await store.deleteSubscriptions(replaced);
    }, openedAtOnceMax);
    this.#beat();
  }

  get serverId(): string {
    return this.#deps.serverId;
  }

  /** Up to which revision someone on any server waits for acknowledgements; 0: nobody. */
  get wantedRevision(): bigint {
    const here = [...this.#wanted.values()];
    const elsewhere = this.#servers.filter((server) => this.#lives(server)).map((server) => server.wantedRevision);
    return [...here, ...elsewhere].reduce((most, revision) => (revision > most ? revision : most), 0n);
  }

  /** Called when acknowledgements come to be wanted. */
  onWanted(listener: () => void): void {
    this.#onWanted = listener;
  }

  /** Called with the revision when someone here waits for acknowledgements, and other servers can read that. */
  onWant(listener: (revision: bigint) => void): void {
    this.#onWant = listener;
  }

  /** Writes and reads, after what is under way, what is else written and read every second. */
  look(): void {
    if (this.#lookIsDue) return;
    this.#lookIsDue = true;
    this.#underWay = this.#underWay
      .then(() => {
        this.#lookIsDue = false;
        return this.#running ? this.#tick() : undefined;
      })
      .catch((err: unknown) => this.#deps.log.error({ err }, "who follows the key sets could not be written"));
  }

  /** Notes a subscription; durable when it resolves. `replaces` is forgotten if it is of the same credential. */
  async open(subscription: Subscription, replaces: SubscriptionId | undefined): Promise<void> {
    const before = replaces === undefined ? undefined : await this.#find(replaces);
    const replaced = before?.keyId === subscription.keyId ? before.id : undefined;
    await this.#opening.add({ subscription, replaced });
    this.#known.set(subscription.id, subscription);
    if (replaced === undefined) return;
    this.#known.delete(replaced);
    this.#dirty.delete(replaced);
  }

  /** The stream has ended; its client goes on with what it knows, so that the row stays. */
  async disconnected(id: SubscriptionId): Promise<void> {
    const known = this.#known.get(id);
    if (known === undefined) return;
    this.#known.set(id, { ...known, serverId: "", seenTimeMs: this.#deps.now() });
    this.#dirty.add(id);
    try {
      await this.flush();
    } catch (err) {
      this.#deps.log.error({ err, subscriptionId: id }, "the end of a subscription could not be written yet");
    }
  }

  /** Takes an acknowledgement. Throws SUBSCRIPTION_NOT_FOUND unless the credential made the subscription. */
  async acknowledge(id: SubscriptionId, keyId: KeyId, feed: string, revision: bigint): Promise<void> {
    const known = await this.#of(id, keyId, feed);
    const counts = feed === known.feeds[0] && revision > known.ackedRevision;
    this.#known.set(id, {
      ...known,
      seenTimeMs: this.#deps.now(),
      ackedRevision: counts ? revision : known.ackedRevision,
    });
    this.#dirty.add(id);
    for (const wake of this.#ackWaiters.splice(0)) wake();
    if (this.wantedRevision > 0n) await this.flush();
  }

  /** Forgets a subscription, whether its stream is open or not. Throws as `acknowledge`. */
  async leave(id: SubscriptionId, keyId: KeyId): Promise<void> {
    await this.#of(id, keyId);
    this.#known.delete(id);
    this.#dirty.delete(id);
    await this.#deps.store.deleteSubscriptions([id]);
    for (const wake of this.#ackWaiters.splice(0)) wake();
  }

  /** Resolves at the next acknowledgement here, or after so many ms. */
  nextAcknowledgement(withinMs: number): Promise<void> {
    return new Promise((resolve) => {
      const cancel = this.#deps.schedule(resolve, withinMs);
      this.#ackWaiters.push(() => {
        cancel();
        resolve();
      });
    });
  }

  /** Writes what has changed since the last time. */
  async flush(): Promise<void> {
    const ids = [...this.#dirty];
    this.#dirty.clear();
    const rows = ids.flatMap((id) => this.#known.get(id) ?? []);
    if (rows.length === 0) return;
    try {
      await this.#deps.store.putSubscriptions(rows);
      const ended = rows.filter(({ id, serverId }) => serverId !== this.#deps.serverId && !this.#dirty.has(id));
      for (const { id } of ended) this.#known.delete(id);
    } catch (err) {
      for (const id of ids) this.#dirty.add(id);
      throw err;
    }
  }

  /** Every server of the last day, this one as it is; see `serverLives`. */
  async servers(): Promise<readonly ServerPresence[]> {
    this.#servers = await this.#deps.store.listServers();
    return [this.#presence(), ...this.#servers.filter((server) => server.id !== this.#deps.serverId)];
  }

  /** Asks every server for acknowledgements up to a revision, until the function that it gives is called. */
  async want(revision: bigint): Promise<() => void> {
    const key = Symbol("wanted");
    this.#wanted.set(key, revision);
    this.#onWanted();
    await this.#tellPresence();
    this.#onWant(revision);
    return () => void this.#wanted.delete(key);
  }

  async stop(): Promise<void> {
    this.#running = false;
    this.#cancel();
    await this.#underWay;
    await this.flush().catch(() => {});
    await this.#deps.store.deleteServer(this.#deps.serverId).catch(() => {});
  }

  async #of(id: SubscriptionId, keyId: KeyId, feed?: string): Promise<Subscription> {
    const known = await this.#find(id);
    if (known?.keyId === keyId && (feed === undefined || known.feeds.includes(feed))) return known;
    throw new IchorError("SUBSCRIPTION_NOT_FOUND", "no subscription of this id and feed by this credential");
  }

  async #find(id: SubscriptionId): Promise<Subscription | undefined> {
    return this.#known.get(id) ?? (await this.#deps.store.getSubscription(id));
  }

  #beat(): void {
    this.#cancel = this.#deps.schedule(() => {
      this.look();
      void this.#underWay.then(() => this.#running && this.#beat());
    }, ledgerIntervalMs);
  }

  async #tick(): Promise<void> {
    await this.flush();
    await this.#tellPresence();
    const before = this.wantedRevision;
    await this.servers();
    if (this.wantedRevision > before) this.#onWanted();
  }

  async #tellPresence(): Promise<void> {
    const presence = this.#presence();
    const written = this.#written;
    const same =
      written?.wantedRevision === presence.wantedRevision &&
      (written.revision === presence.revision || this.#onlyServer()) &&
      presence.seenTimeMs - written.seenTimeMs < presenceIntervalMs;
    if (same) return;
    await this.#deps.store.putServer(presence);
    this.#written = presence;
  }

  #onlyServer(): boolean {
    return this.#servers.every((server) => server.id === this.#deps.serverId || !this.#lives(server));
  }

  #presence(): ServerPresence {
    const { serverId, now, revision } = this.#deps;
    const wantedRevision = [...this.#wanted.values()].reduce((most, wanted) => (wanted > most ? wanted : most), 0n);
    return { id: serverId, seenTimeMs: now(), revision: revision(), wantedRevision };
  }

  #lives(server: ServerPresence): boolean {
    return serverLives(server, this.#deps.now());
  }
}

/** Whether a server was heard of lately enough that it may still serve. */
export function serverLives({ seenTimeMs }: ServerPresence, nowMs: number): boolean {
  return nowMs - seenTimeMs < serverGoneMs;
}
