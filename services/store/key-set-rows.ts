import { setImmediate as nextTurn } from "node:timers/promises";
import type { KeyId, TokenId } from "../core/ids.ts";
import { type KeyMarkStatus, markNumber } from "../core/key-set/key-mark.ts";
import { packIds } from "../core/key-set/key-set-delta.ts";

/** Rows that are read and packed before other work of the process gets its turn: some ms. */
const rowsPerTurn = 1_000;

/** A key's mark, as the store's clients give it. */
export interface MarkRow {
  readonly keyId: string;
  readonly status: string;
  readonly tokenEpoch: number;
}

/** A token that was revoked by itself, likewise. */
export interface RevokedTokenRow {
  readonly keyId: string;
  readonly tokenId: string;
}

/** Gives at most `limit` rows in the order of their ids, of those after the given one. */
export type Page<R> = (after: R, limit: number) => readonly R[] | Promise<readonly R[]>;

/** Gathers a tenant's marks page by page, packed. */
export async function gatherMarks(
  page: Page<MarkRow>,
): Promise<{ readonly markedKeys: Uint8Array; readonly marks: readonly number[] }> {
  const packed: Uint8Array[] = [];
  const marks: number[] = [];
  await eachPage({ keyId: "", status: "", tokenEpoch: 0 }, page, (rows) => {
    packed.push(packIds(rows.map(({ keyId }) => keyId as KeyId)));
    for (const { status, tokenEpoch } of rows) marks.push(markNumber({ status: status as KeyMarkStatus, tokenEpoch }));
  });
  return { markedKeys: Buffer.concat(packed), marks };
}

/** Gathers the ids of a tenant's revoked tokens page by page, packed. */
export async function gatherTokens(page: Page<RevokedTokenRow>): Promise<Uint8Array> {
  const packed: Uint8Array[] = [];
  await eachPage({ keyId: "", tokenId: "" }, page, (rows) => {
    packed.push(packIds(rows.map(({ tokenId }) => tokenId as TokenId)));
  });
  return Buffer.concat(packed);
}

async function eachPage<R>(beforeAll: R, page: Page<R>, take: (rows: readonly R[]) => void): Promise<void> {
  for (let after = beforeAll, more = true; more; ) {
    const rows = await page(after, rowsPerTurn);
    take(rows);
    after = rows.at(-1) ?? after;
    more = rows.length === rowsPerTurn;
    if (more) await nextTurn();
  }
}
