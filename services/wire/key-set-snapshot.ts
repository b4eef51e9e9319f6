import type { MessageInitShape } from "@bufbuild/protobuf";
import type { WatchKeySetResponseSchema } from "../../gen/ichor/v1/key_set_pb.ts";
import type { Position } from "../core/key-set/feed.ts";
import { emptyDelta, type KeySetDelta } from "../core/key-set/key-set-delta.ts";
import type { KeySetState } from "../core/key-set/key-set-state.ts";
import { keySetItemsToProto } from "./key-set.ts";
import { toTimestamp } from "./time.ts";

/** Marks and revoked tokens in one message of a snapshot: about 1 MiB, well below the 4 MB of gRPC clients. */
export const snapshotItemsMax = 65_536;

/** An event of WatchKeySet, to be made. */
export type WatchEventInit = NonNullable<
  Extract<MessageInitShape<typeof WatchKeySetResponseSchema>, { readonly $typeName?: never }>["event"]
>;

/** Gives a feed's state as the events that tell it: what the stream sends, and what a verifier keeps in a file. */
export function snapshotEvents(
  feed: string,
  state: KeySetState,
  { revision, hash, storeEpoch }: Position,
  asOfMs: number,
): { readonly begin: WatchEventInit; readonly items: () => readonly WatchEventInit[]; readonly end: WatchEventInit } {
  const counts = { markCount: BigInt(state.markCount), revokedTokenCount: BigInt(state.tokenCount) };
  const end = { feed, revision, hash, digest: state.digest, asOf: toTimestamp(asOfMs) };
  return {
    begin: { case: "snapshotBegin", value: { feed, revision, storeEpoch, ...counts } },
    items: () => itemEvents(feed, state),
    end: { case: "snapshotEnd", value: end },
  };
}

function itemEvents(feed: string, state: KeySetState): readonly WatchEventInit[] {
  const { signingKeys, audienceKeys, tenantDisabled, issuedBeforeMs } = state;
  const marked = collect(state.markCount, (visit) => state.forEachMark(visit));
  const revoked = collect(state.tokenCount, (visit) => state.forEachRevokedToken((id) => visit(id, 1)));
  const deltas: readonly KeySetDelta[] = [
    ...pages(marked.ids).map(({ ids, from, to }) => ({ markedKeys: ids, marks: marked.values.slice(from, to) })),
    ...pages(revoked.ids).map(({ ids }) => ({ revokedTokens: ids })),
    { signingKeys, audienceKeys, tenantDisabled, issuedBeforeMs },
  ].map((part) => ({ ...emptyDelta, ...part }));
  return deltas.map((delta) => ({ case: "snapshotItems", value: { feed, items: keySetItemsToProto(delta) } }));
}

/** Packs ids, with a number each. */
function collect(count: number, forEach: (visit: (id: Uint8Array, value: number) => void) => void) {
  const ids = new Uint8Array(count * 16);
  const values: number[] = [];
  forEach((id, value) => {
    ids.set(id, values.length * 16);
    values.push(value);
  });
  return { ids, values };
}

function pages(ids: Uint8Array) {
  const count = ids.length / 16;
  return Array.from({ length: Math.ceil(count / snapshotItemsMax) }, (_, page) => {
    const from = page * snapshotItemsMax;
    const to = Math.min(from + snapshotItemsMax, count);
    return { from, to, ids: ids.subarray(from * 16, to * 16) };
  });
}
