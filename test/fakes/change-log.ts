import type { Change, ChangeRow, Head } from "../../services/core/change.ts";

const change: Change = { kind: "secret", event: "pepper_added" };

/** A change log in memory that can hide entries, lose answers and be put back to another history. */
export class FakeChangeLog {
  storeEpoch = "epoch-1";
  /** What the next reads reject with. */
  failure: Error | undefined;
  /** Revisions that are committed but not seen yet by a reader. */
  readonly hidden = new Set<bigint>();
  reads = 0;
  #rows: ChangeRow[] = [];
  #listeners: ((revision: bigint) => void)[] = [];

  get current(): Head {
    return {
      revision: BigInt(this.#rows.length),
      hash: this.#rows.at(-1)?.hash ?? new Uint8Array(32),
      storeEpoch: this.storeEpoch,
    };
  }

  /** Appends an entry; `history` goes into its hash. */
  commit(history = 0): bigint {
    const revision = BigInt(this.#rows.length + 1);
    this.#rows.push({ revision, hash: hashOf(revision, history), commitTimeMs: 0, change });
    return revision;
  }

  /** What a commit of this process does besides. */
  announce(): void {
    for (const listener of this.#listeners) listener(this.current.revision);
  }

  /** As a restore of a backup does. */
  truncate(revision: bigint): void {
    this.#rows = this.#rows.slice(0, Number(revision));
  }

  rowAt(revision: bigint): ChangeRow | undefined {
    return this.#rows[Number(revision) - 1];
  }

  onCommit(listener: (revision: bigint) => void): void {
    this.#listeners.push(listener);
  }

  checkHead(): void {}

  /** Up to which revision payloads are gone. */
  compacted = 0n;

  async compactedThrough(): Promise<bigint> {
    return this.compacted;
  }

  async head(): Promise<Head> {
    if (this.failure !== undefined) throw this.failure;
    return this.current;
  }

  async changesAfter(after: bigint, limit: number): Promise<readonly ChangeRow[]> {
    this.reads++;
    if (this.failure !== undefined) throw this.failure;
    const seen = ({ revision }: ChangeRow) =>
      revision > after && revision > this.compacted && !this.hidden.has(revision);
    return this.#rows.filter(seen).slice(0, limit);
  }
}

function hashOf(revision: bigint, history: number): Uint8Array {
  const hash = Buffer.alloc(32);
  hash.writeBigUInt64BE(revision, 0);
  hash.writeUInt32BE(history, 8);
  return hash;
}
