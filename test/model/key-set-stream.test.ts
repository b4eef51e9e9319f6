import { describe, expect, it } from "vitest";
import type { ChangeRow } from "../../services/core/change.ts";
import type { Frame } from "../../services/rpc/frame.ts";
import type { KeySetRecord } from "../../services/store/key-set-port.ts";
import { seededRandom } from "../fakes/random.ts";
import { turn } from "../fakes/read-by-hand.ts";
import { ContractBroken, WorldRelay, type WorldSource, WorldSubscriber } from "./key-set-subscriber.ts";
import { difference, someChange, WorldServer, WorldStore } from "./key-set-world.ts";

/** ICHOR_TEST_HISTORIES runs more of them. */
const histories = Number(process.env.ICHOR_TEST_HISTORIES ?? 4_000);
const stepsMax = 40;

interface Fault {
  /** Entries that a server's feeds never hear of. */
  readonly drops?: (row: ChangeRow) => boolean;
  /** What happens to frames on their way. */
  readonly spoilFrames?: (frames: Frame[]) => void;
  /** What a load reads in place of the truth. */
  readonly spoilLoad?: (record: KeySetRecord) => KeySetRecord;
}

/** What happened in the histories, so that a test can tell that it tried something. */
const seen = { resumed: 0, resumedAtRelay: 0, forks: 0, compactions: 0, restarts: 0, relayRestarts: 0, relayAnew: 0 };

/** One history of two servers, two relays, three subscribers and a writer, by a seed. Throws ContractBroken. */
async function runHistory(seed: string, fault: Fault = {}): Promise<void> {
  const draw = seededRandom(seed);
  const store = new WorldStore();
  store.spoil = fault.spoilLoad;
  const start = async () => {
    const server = new WorldServer(store, fault.drops);
    await server.tail.start();
    return server;
  };
  store.commit({ kind: "secret", event: "pepper_added" });
  const servers = [await start(), await start()];
  const subscribers = [1, 2, 3].map(() => new WorldSubscriber((position) => store.truthAt(position)));
  const serverAt = (n: number) => servers[n % servers.length] as WorldServer;
  const startRelay = () => new WorldRelay((position) => store.truthAt(position));
  const relays = [startRelay(), startRelay()] as [WorldRelay, WorldRelay];
  /** What can be followed; of relays those that know something. */
  const sourceAt = (n: number): WorldSource => {
    const all = [...servers, ...relays.filter(({ hub }) => hub.ready)];
    return all[n % all.length] as WorldSource;
  };

  for (let step = 0; step < stepsMax; step++) {
    store.nowMs++;
    const [kind = 0, which = 0, ...more] = draw(5);
    const subscriber = subscribers[which % subscribers.length] as WorldSubscriber;
    const action = kind % 32;
    if (action < 11) store.commit(someChange(Uint8Array.from(more), store.truth));
    else if (action < 16) serverAt(which).tail.wake();
    else if (action < 21) await subscriber.read(1 + (which % 6), fault.spoilFrames);
    else if (action < 24) {
      if (!subscriber.connected) {
        const source = sourceAt(more[0] ?? 0);
        if (subscriber.replica.resumePoint !== undefined)
          seen[source instanceof WorldRelay ? "resumedAtRelay" : "resumed"]++;
        subscriber.connect(source);
      }
    } else if (action < 26) subscriber.disconnect();
    else if (action < 28) serverAt(which).hub.heartbeat();
    else if (action === 28) {
      store.compact(which % 30);
      seen.compactions++;
    } else if (action === 29 && which % 3 === 0) {
      store.restore(1 + (which % 4));
      seen.forks++;
    } else if (action === 30) {
      const i = which % servers.length;
      await serverAt(i).stop();
      servers[i] = await start();
      seen.restarts++;
    } else {
      store.holdLoads = !store.holdLoads;
      for (const load of store.loads.splice(0)) load();
    }
    if (kind % 5 === 0) for (const one of [...servers, ...relays]) one.giveUpWaits();
    const relay = relays[which % 2] as WorldRelay;
    const relayAction = more[1] ?? 0;
    if (relayAction < 10) relay.disconnect();
    else if (relayAction < 18) {
      relay.drain.abort();
      relay.disconnect();
      relays[which % 2] = startRelay();
      seen.relayRestarts++;
    } else if (relayAction < 100 && !relay.connected) {
      if (relay.hub.ready && relay.hub.lacks("public")) seen.relayAnew++;
      // The second may follow the first, never the other way round.
      const other =
        relay === relays[1] && relayAction % 2 === 0 && relays[0].hub.ready ? relays[0] : serverAt(relayAction);
      relay.connect(other);
    } else await relay.read(1 + (relayAction % 6));
    await turn();
  }
  await converge(store, servers, relays, subscribers, fault);
  for (const server of servers) await server.stop();
}

/** Lets everything come to rest: then every subscriber must have just what is true. */
async function converge(
  store: WorldStore,
  servers: readonly WorldServer[],
  relays: readonly WorldRelay[],
  subscribers: readonly WorldSubscriber[],
  { spoilFrames }: Fault,
): Promise<void> {
  // A store that was restored while no server ran: the operator says so.
  store.newEpoch();
  store.holdLoads = false;
  const atEnd = ({ replica: { position } }: WorldSubscriber) =>
    position?.revision === store.revision && position.storeEpoch === store.storeEpoch;
  const done = () => subscribers.every((subscriber) => subscriber.connected && atEnd(subscriber));
  for (let round = 0; round < 60 && !done(); round++) {
    store.nowMs++;
    for (const load of store.loads.splice(0)) load();
    for (const server of servers) {
      server.giveUpWaits();
      server.tail.wake();
    }
    await turn();
    await turn();
    for (const server of servers) server.hub.heartbeat();
    for (const relay of relays) {
      relay.giveUpWaits();
      if (!relay.connected) relay.connect(servers[0] as WorldServer);
      await turn();
      await relay.read(1_000);
    }
    const sources = [...servers, ...relays.filter(({ hub }) => hub.ready)];
    for (const [i, subscriber] of subscribers.entries()) {
      if (!subscriber.connected) subscriber.connect(sources[(round + i) % sources.length] as WorldSource);
      await turn();
      await subscriber.read(1_000, spoilFrames);
    }
  }
  for (const subscriber of subscribers) {
    const { replica } = subscriber;
    if (!atEnd(subscriber)) {
      throw new ContractBroken(`ends at revision ${replica.position?.revision} instead of ${store.revision}`);
    }
    const fault = difference(store.truth, replica.state);
    if (fault !== undefined) throw new ContractBroken(fault);
  }
}

async function brokenIn(count: number, fault: () => Fault): Promise<number> {
  let broken = 0;
  for (let seed = 0; seed < count; seed++) {
    await runHistory(`fault ${seed}`, fault()).catch((error) => {
      if (!(error instanceof ContractBroken)) throw error;
      broken++;
    });
  }
  return broken;
}

describe("the key-set stream", () => {
  it("brings every subscriber to the truth, directly and through relays, never back in time, missing and inventing nothing", async () => {
    for (let seed = 0; seed < histories; seed++) {
      await runHistory(`history ${seed}`).catch((error) => {
        throw new Error(`history ${seed}: ${error.message}`, { cause: error });
      });
    }
    for (const count of Object.values(seen)) expect(count).toBeGreaterThan(histories / 40);
  });

  it("is seen to break when an entry is skipped", async () => {
    const dropsOne = () => {
      let left = 0;
      return { drops: ({ change }: ChangeRow) => change.kind === "key" && change.event === "revoked" && left-- === 0 };
    };
    expect(await brokenIn(100, dropsOne)).toBeGreaterThan(3);
  });

  it("is seen to break when two events change places", async () => {
    const swaps = () => ({
      spoilFrames: (frames: Frame[]) => {
        const [first, second] = frames;
        if (first && second && frames.length > 4) frames.splice(0, 2, second, first);
      },
    });
    expect(await brokenIn(60, swaps)).toBeGreaterThan(5);
  });

  it("is seen to break when a state is older than what it claims", async () => {
    const lags = () => {
      let before: KeySetRecord | undefined;
      return {
        spoilLoad: (record: KeySetRecord) => {
          const old = before;
          before = record;
          return old === undefined ? record : { ...old, head: record.head };
        },
      };
    };
    expect(await brokenIn(60, lags)).toBeGreaterThan(5);
  });
});
