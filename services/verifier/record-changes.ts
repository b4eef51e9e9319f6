import { idFromBytes } from "../core/ids.ts";
import { publicFeed } from "../wire/key-set.ts";
import type { AppliedEvent } from "./follower.ts";
import type { RecordChanges } from "./options.ts";

/** Gives what an event of the feed `public` tells of keys' records; undefined: nothing. */
export function recordChanges(event: AppliedEvent): RecordChanges | undefined {
  if (event.value.feed !== publicFeed) return undefined;
  if (event.case === "snapshotEnd") return { of: "all" };
  if (event.case === "heartbeat" || event.value.items === undefined) return undefined;
  const { markedKeys, changedKeys, imported, tenantDisabled } = event.value.items;
  if (tenantDisabled !== undefined) return { of: "all" };
  const keyIds = [...new Set([markedKeys, changedKeys].flatMap(keyIdsIn))];
  return keyIds.length === 0 && !imported ? undefined : { of: "some", keyIds, imported };
}

function keyIdsIn(packed: Uint8Array): readonly string[] {
  return Array.from({ length: packed.length / 16 }, (_, i) => idFromBytes("key", packed.subarray(i * 16, i * 16 + 16)));
}
