import { BoundedLru } from "../core/bounded-lru.ts";
import type { Known } from "./records.ts";

/** How far the change log is followed, as a cache needs it. */
export interface Followed {
  /** Ms since everything that was committed by then was told. */
  ageMs(): number;
}

export interface CoherentCacheOptions<K, V> {
  /** Reads committed state from the store. */
  readonly read: (id: K) => Promise<V | undefined>;
  /** The same for whoever has time: together with others. */
  readonly readTogether?: (id: K) => Promise<V | undefined>;
  readonly followed: Followed;
  /** A clock that only goes forward, in ms. */
  readonly monotonicMs: () => number;
  /** From this age of the log on, the store decides, in ms. */
  readonly maxStalenessMs: number;
  /** Memory for values, in bytes as `bytesOf` counts them. */
  readonly bytesMax: number;
  readonly bytesOf: (value: V) => number;
  /** How many ids may be known not to exist; they can't push out a value. */
  readonly absentMax: number;
}

interface Flight<V> {
  readonly begunMs: number;
  readonly answer: Promise<V | undefined>;
}

/**
 * Records by id, read once and kept until the change log names them: whoever applies a change calls `drop` before the
 * change's revision is told to anyone.
 *
 * A read that is under way when its record is dropped may have been made before the change was committed. So it is no
 * longer joined and its answer isn't kept; those who joined it before get it, since they asked before the change was
 * known here. Without that, a reader that was overtaken by a revocation would put the old record in for good.
 */
export class CoherentCache<K, V> {
  readonly #options: CoherentCacheOptions<K, V>;
  readonly #values: BoundedLru<K, V>;
  readonly #absent: BoundedLru<K, true>;
  readonly #flights = new Map<K, Flight<V>>();
  /** Look-ups so far: answered from memory, by a read that is kept, and by one because the store had to be asked. */
  readonly reads = { hit: 0, miss: 0, bypass: 0 };

  constructor(options: CoherentCacheOptions<K, V>) {
    this.#options = options;
    this.#values = new BoundedLru(options.bytesMax);
    this.#absent = new BoundedLru(options.absentMax);
  }

  /** Memory that values take, in bytes as `bytesOf` counts them. */
  get bytes(): number {
    return this.#values.size;
  }

  /**
   * Gives the record; rejects with what the store rejects with, if it must be asked. A record that is read is told to be
   * no younger than one that was kept: else the age would tell whether an id is known here, to who may not learn it.
   */
  async get(id: K, noCache: boolean, together = false): Promise<Known<V>> {
    const ageMs = this.#options.followed.ageMs();
    // What nobody can drop any more must not be joined either.
    if (noCache || ageMs >= this.#options.maxStalenessMs) {
      this.reads.bypass += 1;
      return this.#read(id, together);
    }
    const known = this.known(id);
    if (known !== undefined) return known;
    this.reads.miss += 1;
    const flight = this.#flights.get(id) ?? this.#begin(id, together);
    const read = await flight.answer;
    return { value: read, ageMs: Math.max(ageMs, this.#options.monotonicMs() - flight.begunMs) };
  }

  /** Gives the record, or that there is none, if `get` would tell that without a read. */
  known(id: K): Known<V> | undefined {
    const ageMs = this.#options.followed.ageMs();
    if (ageMs >= this.#options.maxStalenessMs) return undefined;
    const value = this.#values.get(id);
    if (value === undefined && !this.#absent.get(id)) return undefined;
    this.reads.hit += 1;
    return { value, ageMs };
  }

  /** Forgets a record, since it changed. */
  drop(id: K): void {
    this.#values.delete(id);
    this.#absent.delete(id);
    this.#flights.delete(id);
  }

  /** Forgets everything. */
  clear(): void {
    this.#values.clear();
    this.#absent.clear();
    this.#flights.clear();
  }

  async #read(id: K, together: boolean): Promise<Known<V>> {
    const { monotonicMs } = this.#options;
    const begunMs = monotonicMs();
    return { value: await this.#reader(together)(id), ageMs: monotonicMs() - begunMs };
  }

  #reader(together: boolean): (id: K) => Promise<V | undefined> {
    const { read, readTogether } = this.#options;
    return together && readTogether !== undefined ? readTogether : read;
  }

  #begin(id: K, together: boolean): Flight<V> {
    const flight: Flight<V> = { begunMs: this.#options.monotonicMs(), answer: this.#reader(together)(id) };
    this.#flights.set(id, flight);
    const settle = (): boolean => this.#flights.get(id) === flight && this.#flights.delete(id);
    flight.answer.then((value) => settle() && this.#keep(id, value), settle);
    return flight;
  }

  #keep(id: K, value: V | undefined): void {
    if (value === undefined) this.#absent.set(id, true, 1);
    else this.#values.set(id, value, this.#options.bytesOf(value));
  }
}
