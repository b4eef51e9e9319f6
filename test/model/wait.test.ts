import { describe, expect, it } from "vitest";
import type { Applied } from "../../services/changes/await-applied.ts";
import { seededRandom } from "../fakes/random.ts";
import { settled, type WaitFault, WaitServer, WaitStore, WaitVerifier, WorldTime } from "./wait-world.ts";

/** ICHOR_TEST_HISTORIES runs more of them. */
const histories = Number(process.env.ICHOR_TEST_HISTORIES ?? 2_000);
const steps = 40;
const waitMs = 8_000;

/** What happened in the histories, so that a test can tell that it tried something. */
const seen = { everywhere: 0, laggards: 0, cutOff: 0, crashed: 0 };

class Lie extends Error {}

/** One history of two servers, three verifiers, one of which goes on however stale, and who waits. Throws Lie. */
async function runHistory(seed: string, fault: WaitFault = {}): Promise<void> {
  const draw = seededRandom(seed);
  const time = new WorldTime();
  const store = new WaitStore();
  let started = 0;
  const start = () => new WaitServer(`srv_${started++}`, store, time, fault);
  const servers = [start(), start()];
  const verifiers = [5_000, 20_000, 5_000].map(
    (maxStalenessMs, i) => new WaitVerifier(time, maxStalenessMs, i === 2 ? "ALLOW" : "DENY", fault),
  );
  const waits: Promise<void>[] = [];
  let lie: Lie | undefined;

  const check = ({ everywhere, laggards }: Applied, revision: bigint) => {
    seen[everywhere ? "everywhere" : "laggards"]++;
    if (!everywhere && laggards.length === 0) lie ??= new Lie("it wasn't applied everywhere, and nobody lags");
    if (!everywhere) return;
    const missing = verifiers.findIndex((verifier) => verifier.mayMiss(revision));
    if (missing >= 0) lie ??= new Lie(`verifier ${missing} may let pass what revision ${revision} revoked`);
  };
  /** Revokes at a server that isn't cut off, which knows its own commit, and waits. */
  const revoke = (server: WaitServer) => {
    if (server.cutOff) return;
    const revision = ++store.revision;
    server.look();
    const told = server.wait(revision, time.now() + waitMs).then((applied) => check(applied, revision));
    waits.push(told.catch(() => {}));
  };

  for (const [i, verifier] of verifiers.entries()) await verifier.connect(servers[i % 2] as WaitServer);
  for (let step = 0; step < steps && lie === undefined; step++) {
    const [kind = 0, which = 0, more = 0] = draw(3);
    const server = servers[which % 2] as WaitServer;
    const verifier = verifiers[more % verifiers.length] as WaitVerifier;
    const action = kind % 24;
    if (action < 4) revoke(server);
    else if (action < 6) server.look();
    else if (action < 8) verifier.hear();
    else if (action < 10) await verifier.acknowledge(server);
    else if (action < 15) {
      for (const one of servers) one.look();
      for (const one of verifiers) {
        if (one === verifier && more % 5 === 0) continue;
        one.hear();
        await one.acknowledge(server);
      }
    } else if (action === 15) await verifier.disconnect();
    else if (action < 18) {
      for (const one of verifiers) if (one.server === undefined) await one.connect(server);
    } else if (action === 18) {
      server.cutOff = !server.cutOff;
      seen.cutOff++;
    } else if (action === 19 && which % 3 === 0) {
      crash(server);
      servers[which % 2] = start();
      seen.crashed++;
    } else await time.pass([200, 1_000, 3_000, 7_000][more % 4] as number);
    await settled();
  }
  // Everyone who waits gets an answer at the deadline.
  for (const server of servers) server.cutOff = false;
  await time.pass(waitMs + 1_000);
  await Promise.all(waits);
  for (const server of servers) {
    const stopped = server.ledger.stop();
    await time.pass(1_000);
    await stopped;
  }
  if (lie !== undefined) throw lie;

  /** Without a goodbye: its row stays as it was, and its verifiers go on with what they know. */
  function crash(server: WaitServer): void {
    server.cutOff = true;
    for (const one of verifiers) if (one.server === server) one.server = undefined;
    void server.ledger.stop();
  }
}

async function liesIn(count: number, fault: WaitFault): Promise<number> {
  let lies = 0;
  for (let seed = 0; seed < count; seed++) {
    await runHistory(`fault ${seed}`, fault).catch((error) => {
      if (!(error instanceof Lie)) throw error;
      lies++;
    });
  }
  return lies;
}

describe("the wait of a revocation", () => {
  it("never says that it is applied everywhere while somebody may let the key's tokens pass", {
    timeout: 120_000,
  }, async () => {
    for (let seed = 0; seed < histories; seed++) {
      await runHistory(`wait ${seed}`).catch((error) => {
        throw new Error(`wait ${seed}: ${error.message}`, { cause: error });
      });
    }
    for (const count of Object.values(seen)) expect(count).toBeGreaterThan(histories / 10);
  });

  it.each<[string, WaitFault]>([
    ["who disconnected is forgotten", { subscriptions: (rows) => rows.filter(({ serverId }) => serverId !== "") }],
    [
      "who goes on however stale is taken for one who doesn't",
      {
        subscriptions: (rows) => rows.map((row) => ({ ...row, onStale: "DENY" as const })),
      },
    ],
    [
      "silence counts from too early",
      {
        subscriptions: (rows) => rows.map((row) => ({ ...row, seenTimeMs: row.seenTimeMs - 60_000, serverId: "" })),
      },
    ],
    ["a verifier acknowledges what it hasn't applied", { acknowledged: (_applied, heardOf) => heardOf }],
  ])("is seen to lie when %s", { timeout: 60_000 }, async (_, fault) => {
    expect(await liesIn(150, fault)).toBeGreaterThan(2);
  });
});
