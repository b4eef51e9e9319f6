import { setImmediate as nextTurn } from "node:timers/promises";
import type { FieldViolations } from "../core/field-violations.ts";
import { type FilterFault, isFilterFault } from "../core/filter-terms.ts";
import type { KeyId } from "../core/ids.ts";
import type { KeyCursor, KeyQuery, StoreReads } from "../store/port.ts";

/** Most keys that one look takes from an index: some 10 ms, during which nobody else is served. */
const lookMax = 4_000;
/** Most keys that one call looks at: then its page is short, and the next one goes on. */
const lookedMax = 100_000;

/** The keys of a page, and where the next one goes on. */
export interface KeyPage {
  readonly keyIds: readonly KeyId[];
  /** Undefined: this was the last page. */
  readonly next: KeyCursor | undefined;
}

/** Finds the next keys of a list, `size` of them or fewer if a filter lets little through. */
export async function pageOfKeys(
  store: Pick<StoreReads, "scanKeys">,
  query: KeyQuery,
  after: KeyCursor | undefined,
  size: number,
): Promise<KeyPage> {
  const hits: KeyCursor[] = [];
  let at = after;
  // One more than asked for tells whether there is a next page.
  let look = size + 1;
  for (let looked = 0; looked < lookedMax; looked += look, look = Math.min(look * 2, lookMax)) {
    const scan = await store.scanKeys(query, at, look);
    hits.push(...scan.hits);
    at = scan.next;
    if (at === undefined || hits.length > size) break;
    await nextTurn();
  }
  const page = hits.slice(0, size);
  return { keyIds: page.map(({ id }) => id), next: hits.length > size ? page.at(-1) : at };
}

/** Counts the keys that follow in a list, up to `most`. */
export async function countKeysAfter(
  store: Pick<StoreReads, "scanKeys">,
  query: KeyQuery,
  after: KeyCursor | undefined,
  most: number,
): Promise<number> {
  if (after === undefined) return 0;
  const { keyIds } = await pageOfKeys(store, query, after, most);
  return keyIds.length;
}

/** Parses the `filter` of a request by `parse`. Notes what is wrong with it, with its place. */
export function parseFilter<F extends object>(
  violations: FieldViolations,
  filter: string,
  parse: (text: string) => F | FilterFault,
): F {
  const parsed = parse(filter);
  if (!isFilterFault(parsed)) return parsed;
  violations.add("filter", `at character ${parsed.position}: ${parsed.description}`);
  return parse("") as F;
}
