/** Asks the store for many ids at once; gives what there is. */
export type ReadMany<K, V> = (ids: readonly K[]) => Promise<ReadonlyMap<K, V>>;

/** Makes one read of all that are asked for in the same turn of the event loop, at most `idsMax` ids each. */
export function gathered<K, V>(readMany: ReadMany<K, V>, idsMax: number): (id: K) => Promise<V | undefined> {
  let waiting: { readonly id: K; resolve(found: V | undefined): void; reject(error: unknown): void }[] = [];
  const read = async (batch: typeof waiting) => {
    try {
      const found = await readMany([...new Set(batch.map(({ id }) => id))]);
      for (const { id, resolve } of batch) resolve(found.get(id));
    } catch (error) {
      for (const { reject } of batch) reject(error);
    }
  };
  const readAll = () => {
    const all = waiting;
    waiting = [];
    for (let start = 0; start < all.length; start += idsMax) void read(all.slice(start, start + idsMax));
  };
  return (id) =>
    new Promise((resolve, reject) => {
      if (waiting.length === 0) setImmediate(readAll);
      waiting.push({ id, resolve, reject });
    });
}
