import { describe, expect, it } from "vitest";
import { ReadByHand, turn } from "../fakes/read-by-hand.ts";
import {
  type CacheUnderTest,
  type CacheWorld,
  coherentCache,
  maxStalenessMs,
  readThenFill,
} from "../support/caches.ts";

const ids = ["a", "b", "c", "d", "e"];
const steps = 300;

/** A record of the model: which change made it. */
interface Version {
  readonly revision: number;
}

/**
 * A cache beside a store that changes, a log that is applied late and sometimes not at all, and reads whose look and
 * whose answer are separate steps. Gives each answer that was older than it may be: a record must be as it was at the
 * revision that was applied when it was asked for, or later; with a stale log, at the revision of the store.
 */
async function violations(
  seed: number,
  make: (world: CacheWorld<Version>) => CacheUnderTest<Version>,
): Promise<string[]> {
  const random = seeded(seed);
  const pick = <T>(items: readonly T[]): T => items[Math.floor(random() * items.length)] as T;
  const changes: { readonly id: string; readonly value: Version | undefined }[] = [];
  const stateAt = (id: string, revision: number) =>
    changes.slice(0, revision).findLast((change) => change.id === id)?.value;
  let applied = 0;
  let ageMs = 0;
  const reads = new ReadByHand<string, Version>((id) => stateAt(id, changes.length));
  const cache = make({ read: reads.read, ageMs: () => ageMs });
  const found: string[] = [];
  const asked: Promise<void>[] = [];

  const ask = (id: string, noCache: boolean): void => {
    const floor = noCache || ageMs >= maxStalenessMs ? changes.length : applied;
    const answered = cache.get(id, noCache).then(({ value }) => {
      for (let revision = floor; revision <= changes.length; revision++) if (stateAt(id, revision) === value) return;
      found.push(`seed ${seed}: ${id} as of ${value?.revision}, asked at ${floor}`);
    });
    asked.push(answered);
  };
  const commit = (): void => {
    const gone = random() < 0.2;
    changes.push({ id: pick(ids), value: gone ? undefined : { revision: changes.length + 1 } });
  };
  const apply = (): void => {
    const change = changes[applied];
    if (change === undefined || ageMs >= maxStalenessMs) return;
    cache.drop(change.id);
    applied += 1;
  };
  const partition = (): void => {
    if (ageMs < maxStalenessMs) ageMs = maxStalenessMs;
    else {
      while (applied < changes.length) {
        cache.drop((changes[applied] as (typeof changes)[number]).id);
        applied += 1;
      }
      ageMs = 0;
    }
  };
  const actions = [
    [0.35, () => ask(pick(ids), random() < 0.1)],
    [0.5, () => commit()],
    [0.65, () => apply()],
    [0.8, () => reads.pending.length > 0 && pick(reads.pending).look()],
    [0.97, () => reads.pending.length > 0 && pick(reads.pending).arrive()],
    [0.99, () => partition()],
    [1, () => cache.clear()],
  ] as const;
  for (let step = 0; step < steps; step++) {
    const roll = random();
    actions.find(([upTo]) => roll < upTo)?.[1]();
    await turn();
  }
  while (reads.pending.length > 0) reads.pending[0]?.arrive();
  await Promise.all(asked);
  return found;
}

function seeded(seed: number): () => number {
  let state = seed * 2_654_435_761 + 1;
  return () => {
    state = (Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x9e3779b9) | 0;
    return ((state ^ (state >>> 13)) >>> 0) / 2 ** 32;
  };
}

describe("the cache of records", () => {
  it("never answers with less than was known when it was asked, whatever overtakes what", async () => {
    const found = await Promise.all(Array.from({ length: 200 }, (_, seed) => violations(seed, coherentCache)));
    expect(found.flat()).toEqual([]);
  });

  it("would be found out if it kept what was read before a change (the planted fault)", async () => {
    const found = await Promise.all(Array.from({ length: 20 }, (_, seed) => violations(seed, readThenFill)));
    expect(found.flat().length).toBeGreaterThan(20);
  });
});
