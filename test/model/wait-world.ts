import { type Applied, awaitApplied } from "../../services/changes/await-applied.ts";
import { SubscriptionLedger } from "../../services/changes/subscription-ledger.ts";
import { type KeyId, newId, type SubscriptionId, type TenantId } from "../../services/core/ids.ts";
import type { ServerPresence, Subscription, SubscriptionStore } from "../../services/store/subscription-port.ts";
import { seededRandom } from "../fakes/random.ts";

const ids = seededRandom("wait world");
export const tenantId = newId("ten", 0, ids(10)) as TenantId;

/** Time that passes when the world says so, for everyone the same. */
export class WorldTime {
  #nowMs = 1_000_000;
  #timers: { readonly dueMs: number; readonly callback: () => void }[] = [];

  readonly now = (): number => this.#nowMs;
  readonly schedule = (callback: () => void, delayMs: number): (() => void) => {
    const timer = { dueMs: this.#nowMs + delayMs, callback };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer);
    };
  };

  /** Goes on to the next timer, or by so many ms if none is due before. */
  async pass(spanMs: number): Promise<void> {
    const endMs = this.#nowMs + spanMs;
    for (;;) {
      const due = this.#timers.filter(({ dueMs }) => dueMs <= endMs).sort((a, b) => a.dueMs - b.dueMs)[0];
      if (due === undefined) break;
      this.#timers = this.#timers.filter((timer) => timer !== due);
      this.#nowMs = Math.max(this.#nowMs, due.dueMs);
      due.callback();
      await settled();
    }
    this.#nowMs = endMs;
  }
}

/** Lets everything happen that waits for no timer. */
export async function settled(): Promise<void> {
  for (let i = 0; i < 24; i++) await Promise.resolve();
}

/** What all servers share: the log's revision, and the rows about who follows. */
export class WaitStore {
  revision = 1n;
  readonly subscriptions = new Map<SubscriptionId, Subscription>();
  readonly servers = new Map<string, ServerPresence>();
}

/** A fault that is planted: what a server sees in the rows, in place of the truth. */
export interface WaitFault {
  readonly subscriptions?: (rows: readonly Subscription[]) => readonly Subscription[];
  readonly servers?: (rows: readonly ServerPresence[]) => readonly ServerPresence[];
  /** What a verifier says that it has applied. */
  readonly acknowledged?: (applied: bigint, heardOf: bigint) => bigint;
}

/** A server: it looks at the log when the world says so, and has a ledger that may be cut off from the rows. */
export class WaitServer {
  readonly id: string;
  readonly ledger: SubscriptionLedger;
  revision: bigint;
  asOfMs: number;
  cutOff = false;
  readonly #store: WaitStore;
  readonly #time: WorldTime;
  readonly #rows: SubscriptionStore;

  constructor(id: string, store: WaitStore, time: WorldTime, fault: WaitFault) {
    this.id = id;
    this.#store = store;
    this.#time = time;
    this.revision = store.revision;
    this.asOfMs = time.now();
    this.#rows = this.#rowsOf(store, fault);
    const { now, schedule } = time;
    this.ledger = new SubscriptionLedger({
      store: this.#rows,
      serverId: id,
      revision: () => this.revision,
      now,
      schedule,
      log: { error() {} },
    });
  }

  /** Looks at the log. */
  look(): void {
    if (this.cutOff) return;
    this.asOfMs = this.#time.now();
    this.revision = this.#store.revision;
  }

  wait(revision: bigint, untilMs: number): Promise<Applied> {
    const { now } = this.#time;
    return awaitApplied({ store: this.#rows, ledger: this.ledger, now }, tenantId, revision, () => untilMs - now());
  }

  #rowsOf({ subscriptions, servers }: WaitStore, fault: WaitFault): SubscriptionStore {
    const reach = <T>(use: () => T): Promise<T> =>
      this.cutOff ? Promise.reject(new Error("cut off")) : Promise.resolve(use());
    return {
      putSubscriptions: (rows) => reach(() => rows.forEach((row) => void subscriptions.set(row.id, row))),
      deleteSubscriptions: (gone) => reach(() => gone.forEach((id) => void subscriptions.delete(id))),
      getSubscription: (id) => reach(() => subscriptions.get(id)),
      listSubscriptions: (_tenant, afterId, limit) =>
        reach(() => {
          const rows = [...subscriptions.values()]
            .filter(({ id }) => id > afterId)
            .sort((a, b) => (a.id < b.id ? -1 : 1));
          return fault.subscriptions?.(rows.slice(0, limit)) ?? rows.slice(0, limit);
        }),
      forgetUnseen: () => reach(() => {}),
      putServer: (presence) => reach(() => void servers.set(presence.id, presence)),
      deleteServer: (id) => reach(() => void servers.delete(id)),
      listServers: () => reach(() => fault.servers?.([...servers.values()]) ?? [...servers.values()]),
    };
  }
}

/** A verifier as it should be: applies what it hears, and answers as long as that is fresh enough. */
export class WaitVerifier {
  readonly maxStalenessMs: number;
  readonly onStale: "DENY" | "ALLOW";
  applied = 0n;
  freshMs = Number.NEGATIVE_INFINITY;
  id: SubscriptionId | undefined;
  server: WaitServer | undefined;
  readonly #keyId = newId("key", 0, ids(10)) as KeyId;
  readonly #time: WorldTime;
  readonly #fault: WaitFault;

  constructor(time: WorldTime, maxStalenessMs: number, onStale: "DENY" | "ALLOW", fault: WaitFault) {
    this.#time = time;
    this.maxStalenessMs = maxStalenessMs;
    this.onStale = onStale;
    this.#fault = fault;
  }

  /** Whether it would let a token pass that was revoked in `revision`. */
  mayMiss(revision: bigint): boolean {
    if (this.applied >= revision || this.applied === 0n) return false;
    return this.onStale === "ALLOW" || this.#time.now() - this.freshMs <= this.maxStalenessMs;
  }

  /** Subscribes: it hears of what the server knows once its row is there. */
  async connect(server: WaitServer): Promise<void> {
    const { maxStalenessMs, onStale } = this;
    const id = newId("sub", this.#time.now(), ids(10)) as SubscriptionId;
    const nowMs = this.#time.now();
    const subscription: Subscription = {
      id,
      tenantId,
      keyId: this.#keyId,
      serverId: server.id,
      feeds: ["public"],
      clientVersion: "",
      address: "",
      maxStalenessMs,
      onStale,
      createTimeMs: nowMs,
      seenTimeMs: nowMs,
      ackedRevision: 0n,
    };
    try {
      await server.ledger.open(subscription, this.id);
    } catch {
      return;
    }
    this.id = id;
    this.server = server;
    this.hear();
  }

  /** Hears a heartbeat of its server. */
  hear(): void {
    const { server } = this;
    if (server === undefined || server.revision < this.applied) return;
    this.applied = server.revision;
    this.freshMs = Math.max(this.freshMs, server.asOfMs);
  }

  /** Acknowledges to any server. */
  async acknowledge(to: WaitServer): Promise<void> {
    if (this.id === undefined || this.applied === 0n) return;
    const said = this.#fault.acknowledged?.(this.applied, to.revision) ?? this.applied;
    if (said > to.revision) return;
    await to.ledger.acknowledge(this.id, this.#keyId, "public", said).catch(() => {});
  }

  /** The connection ends, and the server sees it. */
  async disconnect(): Promise<void> {
    const { server, id } = this;
    this.server = undefined;
    if (server !== undefined && id !== undefined) await server.ledger.disconnected(id);
  }
}
