/** Keys whose last change is remembered by itself; of older ones it is only known that they are older. */
const remembered = 10_000;

/**
 * Which keys changed since when, counted by the changes themselves: whether an answer that was asked for before may be
 * kept. What isn't remembered any more counts as changed.
 */
export class ChangeMarks {
  readonly #last = new Map<string, number>();
  #now = 0;
  /** Every key may have changed by then. */
  #floor = 0;
  #imported = 0;

  /** The moment: what changes from now on has changed since. */
  get now(): number {
    return this.#now;
  }

  note(keyIds: readonly string[], imported: boolean): void {
    this.#now++;
    if (imported) this.#imported = this.#now;
    for (const keyId of keyIds) {
      this.#last.delete(keyId);
      this.#last.set(keyId, this.#now);
    }
    for (const [keyId, changed] of this.#last) {
      if (this.#last.size <= remembered) return;
      this.#last.delete(keyId);
      this.#floor = changed;
    }
  }

  /** Notes that everything may have changed. */
  noteAll(): void {
    this.#now++;
    this.#floor = this.#now;
    this.#imported = this.#now;
    this.#last.clear();
  }

  /** Whether a key is surely as it was at a moment. */
  unchangedSince(moment: number, keyId: string): boolean {
    return (this.#last.get(keyId) ?? this.#floor) <= moment;
  }

  /** Whether surely no key was imported since. */
  nothingImportedSince(moment: number): boolean {
    return this.#imported <= moment;
  }
}
