import { describe, expect, it } from "vitest";
import { ReadByHand, turn } from "../../fakes/read-by-hand.ts";
import {
  type CacheUnderTest,
  type CacheWorld,
  coherentCache,
  maxStalenessMs,
  readThenFill,
} from "../../support/caches.ts";

/** A cache on a store of one record, whose reads the test performs. */
function cached<C extends CacheUnderTest<string>>(make: (world: CacheWorld<string>) => C) {
  const store = new Map([["a", "old"]]);
  const log = { ageMs: 0 };
  const reads = new ReadByHand<string, string>((id) => store.get(id));
  const cache = make({ read: reads.read, ageMs: () => log.ageMs });
  return { store, log, reads, cache };
}

/** A read that a change overtakes: it saw the old record, and its answer arrives after the change was applied. */
async function overtakenRead(cache: CacheUnderTest<string>, { store, reads }: ReturnType<typeof cached>) {
  const early = cache.get("a", false);
  reads.pending[0]?.look();
  store.set("a", "revoked");
  cache.drop("a");
  const late = cache.get("a", false);
  // What began last arrives first, so that the old record is the last to come.
  while (reads.pending.length > 0) reads.pending.at(-1)?.arrive();
  await turn();
  const after = cache.get("a", false);
  while (reads.pending.length > 0) reads.pending[0]?.arrive();
  return Promise.all([early, late, after]);
}

describe("CoherentCache", () => {
  it("reads a record once, and tells how old its knowledge is", async () => {
    const { cache, reads, log } = cached(coherentCache);
    const asked = [cache.get("a", false), cache.get("a", false)];
    expect(reads.pending).toHaveLength(1);
    reads.pending[0]?.arrive();
    expect(await Promise.all(asked)).toEqual([
      { value: "old", ageMs: 0 },
      { value: "old", ageMs: 0 },
    ]);
    log.ageMs = 700;
    expect(await cache.get("a", false)).toEqual({ value: "old", ageMs: 700 });
    expect(reads.pending).toHaveLength(0);
  });

  it("gives at once what it knows, as it would give it: nothing of a stale log, nothing that was dropped", async () => {
    const { cache, reads, log } = cached(coherentCache);
    expect(cache.known("a")).toBeUndefined();
    const asked = [cache.get("a", false), cache.get("nobody", false)];
    while (reads.pending.length > 0) reads.pending[0]?.arrive();
    await Promise.all(asked);
    log.ageMs = 700;
    expect([cache.known("a"), cache.known("nobody")]).toEqual([
      { value: "old", ageMs: 700 },
      { value: undefined, ageMs: 700 },
    ]);
    log.ageMs = maxStalenessMs;
    expect(cache.known("a")).toBeUndefined();
    log.ageMs = 0;
    cache.drop("a");
    expect(cache.known("a")).toBeUndefined();
    expect(reads.pending).toHaveLength(0);
  });

  it("tells the same age of a record that it kept, of one that it reads, and of one that isn't there", async () => {
    const { cache, reads, log, store } = cached(coherentCache);
    store.set("b", "other");
    const first = cache.get("a", false);
    reads.pending[0]?.arrive();
    await first;
    log.ageMs = 700;
    const asked = ["a", "b", "nobody"].map((id) => cache.get(id, false));
    while (reads.pending.length > 0) reads.pending[0]?.arrive();
    expect((await Promise.all(asked)).map(({ ageMs }) => ageMs)).toEqual([700, 700, 700]);
  });

  it("keeps nothing that a change overtook, and lets nobody join it who asked after the change", async () => {
    const world = cached(coherentCache);
    const answers = await overtakenRead(world.cache, world);
    expect(answers.map(({ value }) => value)).toEqual(["old", "revoked", "revoked"]);
  });

  it("would answer with a dead record for ever if it kept what was read (the planted fault)", async () => {
    const world = cached(readThenFill);
    const [, , after] = await overtakenRead(world.cache, world);
    expect(after.value).toBe("old");
  });

  it("asks the store when the change log is stale, and when it is told to", async () => {
    const { cache, reads, log, store } = cached(coherentCache);
    const first = cache.get("a", false);
    reads.pending[0]?.arrive();
    await first;
    store.set("a", "new");
    log.ageMs = maxStalenessMs;
    const asked = [cache.get("a", false), cache.get("a", false)];
    // Not joined: nobody could drop a read that began before the change.
    expect(reads.pending).toHaveLength(2);
    while (reads.pending.length > 0) reads.pending[0]?.arrive();
    expect((await Promise.all(asked)).map(({ value }) => value)).toEqual(["new", "new"]);
    log.ageMs = 0;
    const told = cache.get("a", true);
    reads.pending[0]?.arrive();
    expect((await told).value).toBe("new");
  });

  it("remembers which ids name nothing, a bounded number, and that can't push out a record", async () => {
    const { cache, reads, store } = cached(coherentCache);
    const ask = async (id: string) => {
      const asked = cache.get(id, false);
      const read = reads.pending.length > 0;
      reads.pending[0]?.arrive();
      return { read, value: (await asked).value };
    };
    expect(await ask("a")).toEqual({ read: true, value: "old" });
    for (const id of ["x1", "x2", "x3"]) expect(await ask(id)).toEqual({ read: true, value: undefined });
    expect(await ask("x3")).toEqual({ read: false, value: undefined });
    expect(await ask("x1")).toEqual({ read: true, value: undefined });
    expect(await ask("a")).toEqual({ read: false, value: "old" });
    store.set("x1", "issued");
    cache.drop("x1");
    expect(await ask("x1")).toEqual({ read: true, value: "issued" });
  });

  it("hands a failed read to all who joined it, and reads again", async () => {
    const { cache, reads } = cached(coherentCache);
    const asked = [cache.get("a", false), cache.get("a", false)];
    reads.pending[0]?.fail(new Error("the store is gone"));
    for (const one of asked) await expect(one).rejects.toThrow("the store is gone");
    const again = cache.get("a", false);
    reads.pending[0]?.arrive();
    expect((await again).value).toBe("old");
  });

  it("forgets everything, what is being read included", async () => {
    const { cache, reads, store } = cached(coherentCache);
    const early = cache.get("a", false);
    reads.pending[0]?.look();
    store.set("a", "another history");
    cache.clear();
    reads.pending[0]?.arrive();
    expect((await early).value).toBe("old");
    const after = cache.get("a", false);
    reads.pending[0]?.arrive();
    expect((await after).value).toBe("another history");
  });
});
