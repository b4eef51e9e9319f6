import { describe, expect, it } from "vitest";
import type { Applied } from "../../services/changes/await-applied.ts";
import { seededRandom } from "../fakes/random.ts";
import { type TreeFault, TreeRelay, TreeServer, type TreeSource, TreeVerifier } from "./relay-tree.ts";
import { settled, WaitStore, WorldTime } from "./wait-world.ts";

/** ICHOR_TEST_HISTORIES runs more of them. */
const histories = Number(process.env.ICHOR_TEST_HISTORIES ?? 1_500);
const steps = 60;
const waitMs = 15_000;

/** What happened in the histories, so that a test can tell that it tried something. */
const seen = { everywhere: 0, laggards: 0, relaysKilled: 0, cut: 0, moved: 0, behindRelays: 0 };

class Lie extends Error {}

/** One history of two servers, three relays of which one may follow another, and five verifiers. Throws Lie. */
async function runHistory(seed: string, fault: TreeFault = {}): Promise<void> {
  const draw = seededRandom(seed);
  const time = new WorldTime();
  const store = new WaitStore();
  const servers = ["srv_0", "srv_1"].map((id) => new TreeServer(id, store, time));
  const relays = [12_000, 6_000, 6_000].map((maxStalenessMs) => new TreeRelay(time, maxStalenessMs, fault));
  const verifiers = [4_000, 6_000, 6_000, 12_000, 20_000].map((ms) => new TreeVerifier(time, ms, fault));
  const waits: Promise<void>[] = [];
  let unnoticed: (() => void)[] = [];
  let known = 0n;
  let lie: Lie | undefined;

  /** Of what was told to be applied everywhere, nobody may ever let a token pass again. */
  const check = () => {
    const all = [...relays, ...verifiers];
    const missing = all.findIndex((one) => one.mayMiss(known));
    if (missing >= 0) lie ??= new Lie(`number ${missing} may let pass what revision ${known} revoked`);
  };
  const told = ({ everywhere, laggards }: Applied, revision: bigint) => {
    seen[everywhere ? "everywhere" : "laggards"]++;
    if (!everywhere && laggards.length === 0) lie ??= new Lie("it wasn't applied everywhere, and nobody lags");
    if (everywhere && revision > known) known = revision;
    check();
  };
  const revoke = (server: TreeServer) => {
    if (server.cutOff) return;
    const revision = ++store.revision;
    server.look();
    waits.push(
      server.wait(revision, time.now() + waitMs).then(
        (applied) => told(applied, revision),
        () => {},
      ),
    );
  };
  /** A relay follows none of those after it. */
  const sourcesOf = (one: TreeVerifier): readonly TreeSource[] => {
    const own = relays.indexOf(one as TreeRelay);
    return [...servers, ...relays.slice(own >= 0 ? own + 1 : 0).filter(({ hub }) => hub.ready)];
  };
  const connect = async (one: TreeVerifier, which: number) => {
    if (one.connected) return;
    const sources = sourcesOf(one);
    const source = sources[which % sources.length] as TreeSource;
    if (one.replica.position !== undefined) seen.moved++;
    if (source instanceof TreeRelay) seen.behindRelays++;
    await one.connect(source);
  };
  const kill = async (i: number, late: boolean, which: number) => {
    const old = relays[i] as TreeRelay;
    old.cut(late ? (notice) => unnoticed.push(notice) : undefined);
    // Its followers see that; there is nobody any more who could see them go.
    for (const one of [...relays, ...verifiers]) if (one.follows(old)) one.cut(() => {});
    const restarted = new TreeRelay(time, old.maxStalenessMs, fault, old);
    relays[i] = restarted;
    await connect(restarted, which);
    await restarted.read(9, check);
    seen.relaysKilled++;
  };

  for (const one of [...relays.toReversed(), ...verifiers]) {
    await connect(one, draw(1)[0] ?? 0);
    await one.read(9, check);
  }
  for (let step = 0; step < steps && lie === undefined; step++) {
    const [kind = 0, which = 0, more = 0, odd = 0] = draw(4);
    const everyone = [...relays.toReversed(), ...verifiers];
    const one = everyone[which % everyone.length] as TreeVerifier;
    const server = servers[which % 2] as TreeServer;
    const action = kind % 32;
    if (action < 4) revoke(server);
    else if (action < 6) server.look();
    else if (action < 10) await one.read(1 + (more % 3), check);
    else if (action < 12) await one.acknowledge();
    else if (action < 19) {
      // All goes well, but for one.
      for (const each of servers) each.look();
      for (const each of everyone) if (each !== one || more % 3 > 0) await each.read(99, check);
      for (const each of everyone.toReversed()) if (each !== one || more % 3 > 0) await each.acknowledge();
    } else if (action < 21) {
      seen.cut++;
      one.cut(odd % 2 === 0 ? (notice) => unnoticed.push(notice) : undefined);
    } else if (action === 21) {
      for (const notice of unnoticed.splice(0)) notice();
    } else if (action < 26) {
      for (const each of everyone) if (each !== one) await connect(each, more + odd);
    } else if (action === 26) {
      server.cutOff = !server.cutOff;
      // Whoever comes back says so, and looks, before it tells anything: the other way round is no matter of relays.
      server.ledger.look();
      await settled();
      server.look();
    } else if (action === 27) await kill(which % relays.length, odd % 2 === 0, more);
    else await time.pass([200, 1_000, 3_000, 7_000][more % 4] as number);
    await settled();
    check();
  }
  // Everyone who waits gets an answer at the deadline.
  unnoticed = [];
  for (const server of servers) server.cutOff = false;
  await time.pass(waitMs + 1_000);
  await Promise.all(waits);
  for (const server of servers) {
    const stopped = server.ledger.stop();
    await time.pass(1_000);
    await stopped;
  }
  if (lie !== undefined) throw lie;
}

async function liesIn(count: number, fault: TreeFault): Promise<number> {
  let lies = 0;
  for (let seed = 0; seed < count; seed++) {
    await runHistory(`fault ${seed}`, fault).catch((error) => {
      if (!(error instanceof Lie)) throw error;
      lies++;
    });
  }
  return lies;
}

describe("the wait of a revocation, with relays between", () => {
  it("never says that it is applied everywhere while somebody may let the key's tokens pass, then or later", {
    timeout: 120_000,
  }, async () => {
    for (let seed = 0; seed < histories; seed++) {
      await runHistory(`relay wait ${seed}`).catch((error) => {
        throw new Error(`relay wait ${seed}: ${error.message}`, { cause: error });
      });
    }
    for (const count of Object.values(seen)) expect(count).toBeGreaterThan(histories / 10);
  });

  it.each<[string, TreeFault]>([
    ["a relay acknowledges what it has applied itself", { relaySpeaksForItself: true }],
    ["a relay forgets who is gone", { relayForgets: true }],
    ["a relay doesn't say that it repeats what was", { noCatchUp: true }],
    ["a relay is followed by who trusts what it knows for longer", { admitsLonger: true }],
    ["a relay that is started again replaces its subscription of before", { restartReplaces: true }],
  ])("is seen to lie when %s", { timeout: 90_000 }, async (_, fault) => {
    expect(await liesIn(500, fault)).toBeGreaterThan(2);
  });
});
