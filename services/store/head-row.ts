import { StoreStartError } from "./start-error.ts";

/** Id of the head row of a store that is open. Under any other id nobody finds the row, and so nobody changes the store. */
export const headRowId = "head";
/** Id of the head row of a store that is being filled by a copy. */
export const unfinishedHeadId = "copying";

const fencedPrefix = "fenced:";

/** Id of the head row of a store that was copied, or is being copied, to one that gets this store epoch. */
export function fencedHeadId(storeEpoch: string): string {
  return `${fencedPrefix}${storeEpoch}`;
}

/** The store epoch of the copy that a store is fenced for; undefined if it isn't. */
export function fencedFor(headId: string): string | undefined {
  return headId.startsWith(fencedPrefix) ? headId.slice(fencedPrefix.length) : undefined;
}

/** Throws StoreStartError if the store is one side of a copy, so that no server may start on it. */
export function requireOpenHead(headId: string): void {
  if (fencedFor(headId) !== undefined) {
    throw new StoreStartError(
      'the store was fenced by "ichor store copy": use the copy, or give the copy up by "ichor store unfence"',
    );
  }
  if (headId !== headRowId) {
    throw new StoreStartError(
      'the store is an unfinished copy: run "ichor store copy" again to its end, or empty the database',
    );
  }
}

/** The store was fenced while it was in use: its head row isn't found. */
export class StoreFenced extends Error {
  override readonly name = "StoreFenced";

  constructor() {
    super("the store has no open head row");
  }
}

/** Throws StoreFenced if there is no head row. */
export function requiredHead<T>(head: T | null | undefined): T {
  if (head === undefined || head === null) throw new StoreFenced();
  return head;
}
