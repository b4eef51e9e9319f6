import type { Change, ChangeRow } from "../core/change.ts";

/** Entries of the log that are kept in memory at least, if they name few things. */
export const recentEntriesMax = 4_096;
/** What all kept entries may name together: keys, tokens, signing keys. About 100 bytes each. */
export const recentNamesMax = 65_536;

/**
 * The last entries of the log, for those who come back soon. Bounded by number and by what they name: one entry of a
 * bulk change names a thousand keys.
 */
export class RecentChanges {
  readonly #entriesMax: number;
  readonly #namesMax: number;
  #rows: ChangeRow[] = [];
  #names = 0;

  constructor({ entriesMax = recentEntriesMax, namesMax = recentNamesMax } = {}) {
    this.#entriesMax = entriesMax;
    this.#namesMax = namesMax;
  }

  /** Takes the entry after the last one that it took. */
  push(row: ChangeRow): void {
    this.#rows.push(row);
    this.#names += namesOf(row.change);
    if (this.#names > this.#namesMax) this.#keep(this.#namesMax / 2);
    else if (this.#rows.length > this.#entriesMax * 2) this.#keep(this.#names);
  }

  /** Entries from `since` on, itself included; undefined: some of them aren't kept. */
  from(since: bigint): readonly ChangeRow[] | undefined {
    const [oldest] = this.#rows;
    if (oldest === undefined || oldest.revision > since) return undefined;
    return this.#rows.slice(Number(since - oldest.revision));
  }

  /** Another history has begun. */
  clear(): void {
    this.#rows = [];
    this.#names = 0;
  }

  /** Keeps the newest: half of what may be kept, so that entries aren't moved at each push. */
  #keep(namesMax: number): void {
    let first = this.#rows.length;
    let names = 0;
    while (first > 0 && this.#rows.length - first < this.#entriesMax) {
      const more = namesOf((this.#rows[first - 1] as ChangeRow).change);
      if (names + more > namesMax) break;
      names += more;
      first -= 1;
    }
    this.#rows = this.#rows.slice(first);
    this.#names = names;
  }
}

/** How many keys, tokens and signing keys an entry names: what it takes of memory, about. */
export function namesOf(change: Change): number {
  switch (change.kind) {
    case "key":
      return change.keyIds.length;
    case "token":
      return change.tokens.length;
    case "signing_key":
      return change.signingKeyIds.length + change.published.length;
    default:
      return 0;
  }
}
