import { setImmediate as nextTurn } from "node:timers/promises";
import { expect, it } from "vitest";
import { idFromBytes, newId } from "../../../services/core/ids.ts";
import { markNumber } from "../../../services/core/key-set/key-mark.ts";
import { gatherMarks, gatherTokens } from "../../../services/store/key-set-rows.ts";
import { seededRandom } from "../../fakes/random.ts";

const random = seededRandom("rows");
const count = 3_500;
const marks = Array.from({ length: count }, (_, i) => ({
  keyId: newId("key", i, random(10)) as string,
  status: "REVOKED",
  tokenEpoch: i,
}));
const tokens = marks.map(({ keyId }, i) => ({ keyId, tokenId: newId("tok", i, random(10)) as string }));

/** Pages of rows by key id, and how many were asked for. */
function pagesOf<R extends { readonly keyId: string }>(rows: readonly R[]) {
  const asked = { pages: 0 };
  const page = (after: R, limit: number) => {
    asked.pages++;
    return rows.filter(({ keyId }) => keyId > after.keyId).slice(0, limit);
  };
  return { asked, page };
}

it("gathers every row in its order, and lets other work have its turn after each page", async () => {
  const { asked, page } = pagesOf(marks);
  let turnsWhileLoading = 0;
  let loading = true;
  const others = (async () => {
    for (; loading; turnsWhileLoading++) await nextTurn();
  })();
  const gathered = await gatherMarks(page);
  loading = false;
  await others;
  expect(turnsWhileLoading).toBeGreaterThanOrEqual(asked.pages - 1);
  expect(asked.pages).toBeGreaterThan(2);
  expect(gathered.marks).toEqual(marks.map(({ tokenEpoch }) => markNumber({ status: "REVOKED", tokenEpoch })));
  expect(marks.map((_, i) => idFromBytes("key", gathered.markedKeys.subarray(i * 16, i * 16 + 16)))).toEqual(
    marks.map(({ keyId }) => keyId),
  );
});

it("gathers tokens likewise, and nothing of nothing", async () => {
  const gathered = await gatherTokens(pagesOf(tokens).page);
  expect(tokens.map((_, i) => idFromBytes("tok", gathered.subarray(i * 16, i * 16 + 16)))).toEqual(
    tokens.map(({ tokenId }) => tokenId),
  );
  expect(await gatherTokens(() => [])).toHaveLength(0);
});
