import { idFromBytes } from "../core/ids.ts";
import { readMark } from "../core/key-set/key-mark.ts";
import { emptyDelta, type KeySetDelta } from "../core/key-set/key-set-delta.ts";
import type { AppliedEvent } from "../verifier/follower.ts";
import type { FeedReplica } from "../verifier/replica.ts";
import { keySetItemsFromProto } from "../wire/key-set.ts";
import { onOneLine } from "./print.ts";

/** Something that happened to what `ichor watch` follows: its name, and what is told of it, secrets left out. */
export interface WatchEvent {
  readonly event: "connected" | "disconnected" | "resync" | "snapshot" | "delta" | "heartbeat";
  readonly feed?: string;
  /** Revision up to which the feed is known, as text. */
  readonly revision?: string;
  /** As of when, ISO 8601, by the server's clock. */
  readonly asOf?: string;
  readonly ageSeconds?: number;
  readonly [detail: string]: unknown;
}

const listedMax = 8;

/** What a feed told, now that it is applied. Of root keys only the names are given. */
export function feedEvent(feed: FeedReplica, event: AppliedEvent): WatchEvent {
  const about = {
    feed: feed.name,
    revision: String(event.value.revision),
    asOf: new Date(feed.asOfMs).toISOString(),
    ageSeconds: Math.round(feed.freshness.ageMs()) / 1000,
  };
  if (event.case === "heartbeat") return { event: "heartbeat", ...about };
  if (event.case === "delta") return { event: "delta", ...about, ...changesOf(event.value.items) };
  const { markCount, tokenCount, tenantDisabled, issuedBeforeMs, signingKeys, audienceKeys } = feed.state;
  const once = onceOnly({
    signingKeys,
    audienceKeys,
    ...(tenantDisabled && { tenantDisabled }),
    ...(issuedBeforeMs > 0 && { issuedBeforeMs }),
  });
  return { event: "snapshot", ...about, markedKeyCount: markCount, revokedTokenCount: tokenCount, ...once };
}

/** An event as one line: time, name, feed, revision, age, details. */
export function lineOf({ event, feed, revision, asOf, ageSeconds, ...details }: WatchEvent, nowMs: number): string {
  const about = [
    new Date(nowMs).toISOString(),
    event.padEnd(12),
    feed,
    revision && `revision ${revision}`,
    ageSeconds !== undefined && `${ageSeconds.toFixed(3)} s old`,
    ...Object.entries(details).map(([name, value]) => `${name} ${detailText(value)}`),
  ];
  return onOneLine(about.filter((part) => part).join("  "));
}

function detailText(value: unknown): string {
  if (!Array.isArray(value)) return String(value);
  const texts = value
    .slice(0, listedMax)
    .map((item) => (typeof item === "object" ? Object.values(item).join(" ") : item));
  const more = value.length > listedMax ? [`and ${value.length - listedMax} more`] : [];
  return [...texts, ...more].join(", ");
}

function changesOf(items: Parameters<typeof keySetItemsFromProto>[0] | undefined): object {
  const delta: KeySetDelta = items ? keySetItemsFromProto(items) : emptyDelta;
  const { markedKeys, marks, revokedTokens, forgottenTokens, changedKeys, imported } = delta;
  const keys = idsIn("key", markedKeys).map((id, i) => {
    // Of a newer server's making it keeps its number.
    const { status = String(marks[i]), tokenEpoch = 0 } = readMark(marks[i] ?? 0) ?? {};
    return { id, status, tokenEpoch };
  });
  return {
    ...(keys.length > 0 && { keys }),
    ...(revokedTokens.length > 0 && { revokedTokens: idsIn("tok", revokedTokens) }),
    ...(forgottenTokens.length > 0 && { forgottenTokens: idsIn("tok", forgottenTokens) }),
    ...(changedKeys.length > 0 && { changedKeys: idsIn("key", changedKeys) }),
    ...(imported && { imported }),
    ...onceOnly(delta),
  };
}

function onceOnly({
  signingKeys,
  audienceKeys,
  tenantDisabled,
  issuedBeforeMs,
}: Pick<KeySetDelta, "signingKeys" | "audienceKeys" | "tenantDisabled" | "issuedBeforeMs">): object {
  return {
    ...(signingKeys?.length && { signingKeys: signingKeys.map(({ kid, state }) => ({ kid, state })) }),
    ...(audienceKeys?.length && {
      audienceKeys: audienceKeys.map(({ masterId, generation }) => ({ masterId, generation })),
    }),
    ...(tenantDisabled !== undefined && { tenantDisabled }),
    ...(issuedBeforeMs !== undefined && { issuedBefore: new Date(issuedBeforeMs).toISOString() }),
  };
}

function idsIn(prefix: "key" | "tok", packed: Uint8Array): readonly string[] {
  return Array.from({ length: packed.length / 16 }, (_, i) =>
    idFromBytes(prefix, packed.subarray(i * 16, i * 16 + 16)),
  );
}
