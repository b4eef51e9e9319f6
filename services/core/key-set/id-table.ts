const idWords = 4;
const slotWords = idWords + 1;
const slotsMin = 16;
const loadMax = 0.6;

/** Entries of a table: ids of 16 bytes, one after the other, and their numbers. */
export interface IdEntries {
  readonly ids: Uint8Array;
  readonly values: readonly number[];
  /** Where those begin that come after; undefined: these were the last. */
  readonly next: number | undefined;
}

/**
 * A map from ids (16 bytes) to numbers from 1 to 2^32 - 1, in one typed array: 20 bytes a slot and no object per entry,
 * so that a million entries cost neither heap nor time of the garbage collector. Open addressing with linear probing; an
 * entry that goes is filled by those behind it, so that there are no tombstones. 0 is "not there".
 */
export class IdTable {
  readonly #seed: number;
  #slots: Uint32Array;
  #mask: number;
  #size = 0;

  /**
   * @param seed of the hash: a random number, so that nobody who can choose ids can make them collide
   * @param expected how many entries there will be: no growing on the way there
   */
  constructor(seed: number, expected = 0) {
    this.#seed = seed >>> 0;
    const slots = slotsFor(expected);
    this.#slots = new Uint32Array(slots * slotWords);
    this.#mask = slots - 1;
  }

  get size(): number {
    return this.#size;
  }

  /** What the table takes, in bytes. */
  get byteLength(): number {
    return this.#slots.byteLength;
  }

  /** The number of an id that stands at `offset` of `bytes`; 0: not there. */
  get(bytes: Uint8Array, offset = 0): number {
    const at = this.#find(
      wordAt(bytes, offset),
      wordAt(bytes, offset + 4),
      wordAt(bytes, offset + 8),
      wordAt(bytes, offset + 12),
    );
    return this.#slots[at + idWords] as number;
  }

  /** Sets the number of an id, 0 removes it; gives the one that it had. Throws TypeError for a number out of range. */
  set(bytes: Uint8Array, value: number, offset = 0): number {
    if (!Number.isInteger(value) || value < 0 || value > 0xffff_ffff)
      throw new TypeError("not an unsigned 32-bit number");
    const a = wordAt(bytes, offset);
    const b = wordAt(bytes, offset + 4);
    const c = wordAt(bytes, offset + 8);
    const d = wordAt(bytes, offset + 12);
    let at = this.#find(a, b, c, d);
    const before = this.#slots[at + idWords] as number;
    if (value === 0) {
      if (before !== 0) this.#remove(at);
      return before;
    }
    if (before === 0) {
      if (this.#size + 1 > (this.#mask + 1) * loadMax) {
        this.#grow();
        at = this.#find(a, b, c, d);
      }
      this.#size++;
    }
    this.#put(at, a, b, c, d, value);
    return before;
  }

  /** The same table, which goes its own way from now on. */
  copy(): IdTable {
    const copy = new IdTable(this.#seed);
    copy.#slots = this.#slots.slice();
    copy.#mask = this.#mask;
    copy.#size = this.#size;
    return copy;
  }

  /** Gives at most so many entries from a place on, 0 being the first, and the place of what follows; undefined: nothing. */
  entriesFrom(place: number, most: number): IdEntries {
    const ids = new Uint8Array(Math.min(most, this.#size) * idWords * 4);
    const view = new DataView(ids.buffer);
    const values: number[] = [];
    let at = place * slotWords;
    for (; at < this.#slots.length && values.length < most; at += slotWords) {
      const value = this.#slots[at + idWords] as number;
      if (value === 0) continue;
      const to = values.length * idWords * 4;
      for (let word = 0; word < idWords; word++) view.setUint32(to + word * 4, this.#slots[at + word] as number);
      values.push(value);
    }
    const packed = ids.subarray(0, values.length * idWords * 4);
    return { ids: packed, values, next: at < this.#slots.length ? at / slotWords : undefined };
  }

  /** Offset of the slot that holds the id, or of the empty one where it would be put. */
  #find(a: number, b: number, c: number, d: number): number {
    const slots = this.#slots;
    let slot = this.#home(a, b, c, d);
    for (;;) {
      const at = slot * slotWords;
      if (slots[at + idWords] === 0) return at;
      if (slots[at] === a && slots[at + 1] === b && slots[at + 2] === c && slots[at + 3] === d) return at;
      slot = (slot + 1) & this.#mask;
    }
  }

  #home(a: number, b: number, c: number, d: number): number {
    let hash = Math.imul(a ^ this.#seed, 0x9e37_79b1) ^ Math.imul(b ^ (this.#seed >>> 15), 0x85eb_ca77);
    hash = Math.imul(hash ^ (hash >>> 15), 0xc2b2_ae3d) ^ c;
    hash = Math.imul(hash ^ (hash >>> 13), 0x27d4_eb2f) ^ d;
    hash = Math.imul(hash ^ (hash >>> 16), 0x1656_67b1);
    return (hash ^ (hash >>> 15)) & this.#mask;
  }

  #put(at: number, a: number, b: number, c: number, d: number, value: number): void {
    const slots = this.#slots;
    slots[at] = a;
    slots[at + 1] = b;
    slots[at + 2] = c;
    slots[at + 3] = d;
    slots[at + idWords] = value;
  }

  /** Knuth's algorithm R: an entry behind the hole moves into it unless its home lies between hole and entry. */
  #remove(at: number): void {
    const slots = this.#slots;
    const mask = this.#mask;
    let hole = at / slotWords;
    for (let slot = (hole + 1) & mask; slots[slot * slotWords + idWords] !== 0; slot = (slot + 1) & mask) {
      const from = slot * slotWords;
      const home = this.#home(
        slots[from] as number,
        slots[from + 1] as number,
        slots[from + 2] as number,
        slots[from + 3] as number,
      );
      if (((slot - home) & mask) < ((slot - hole) & mask)) continue;
      slots.copyWithin(hole * slotWords, from, from + slotWords);
      hole = slot;
    }
    slots.fill(0, hole * slotWords, (hole + 1) * slotWords);
    this.#size--;
  }

  #grow(): void {
    const old = this.#slots;
    const count = (this.#mask + 1) * 2;
    this.#slots = new Uint32Array(count * slotWords);
    this.#mask = count - 1;
    for (let at = 0; at < old.length; at += slotWords) {
      const value = old[at + idWords] as number;
      if (value === 0) continue;
      const [a, b, c, d] = [old[at], old[at + 1], old[at + 2], old[at + 3]] as [number, number, number, number];
      this.#put(this.#find(a, b, c, d), a, b, c, d, value);
    }
  }
}

function slotsFor(entries: number): number {
  let slots = slotsMin;
  while (entries > slots * loadMax) slots *= 2;
  return slots;
}

function wordAt(bytes: Uint8Array, offset: number): number {
  return (
    (((bytes[offset] as number) << 24) |
      ((bytes[offset + 1] as number) << 16) |
      ((bytes[offset + 2] as number) << 8) |
      (bytes[offset + 3] as number)) >>>
    0
  );
}
