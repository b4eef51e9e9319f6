import { CoherentCache } from "../../services/verification/coherent-cache.ts";
import type { Known } from "../../services/verification/records.ts";

export interface CacheUnderTest<V> {
  get(id: string, noCache: boolean): Promise<Known<V>>;
  drop(id: string): void;
  clear(): void;
}

export interface CacheWorld<V> {
  readonly read: (id: string) => Promise<V | undefined>;
  readonly ageMs: () => number;
}

export const maxStalenessMs = 5_000;

/** The cache of the product, small enough that entries are pushed out. */
export function coherentCache<V>({ read, ageMs }: CacheWorld<V>, bytesMax = 3): CoherentCache<string, V> {
  return new CoherentCache<string, V>({
    read,
    followed: { ageMs },
    monotonicMs: () => 0,
    maxStalenessMs,
    bytesMax,
    bytesOf: () => 1,
    absentMax: 2,
  });
}

/** The planted fault: what a read gives is put in whatever was dropped meanwhile. */
export function readThenFill<V>({ read }: CacheWorld<V>): CacheUnderTest<V> {
  const values = new Map<string, V | undefined>();
  return {
    async get(id) {
      if (!values.has(id)) values.set(id, await read(id));
      return { value: values.get(id), ageMs: 0 };
    },
    drop: (id) => void values.delete(id),
    clear: () => values.clear(),
  };
}
