import type { MessageInitShape, MessageShape } from "@bufbuild/protobuf";
import { type FeedKeysSchema, type KeySetItemsSchema, OnStale as OnStalePb } from "../../gen/ichor/v1/key_set_pb.ts";
import { canonicalJson } from "../core/canonical-json.ts";
import type { PublishedSigningKey } from "../core/change.ts";
import type { FeedKey } from "../core/key-set/feed-key.ts";
import type { AudienceKeyItem, KeySetDelta } from "../core/key-set/key-set-delta.ts";
import type { AudienceKey } from "../core/macaroon/audience-key.ts";
import { fromTimestamp, toTimestamp } from "./time.ts";

/** Feed of signing keys, revocations and states. */
export const publicFeed = "public";
const audienceFeedPrefix = "aud:";

/** The feed of an audience's root keys. */
export function audienceFeed(audience: string): string {
  return `${audienceFeedPrefix}${audience}`;
}

/** What a verifier does when its knowledge is too old, as it tells. */
export type OnStale = "DENY" | "ALLOW" | "ONLINE";

const onStaleOf: Readonly<Record<OnStalePb, OnStale>> = {
  [OnStalePb.UNSPECIFIED]: "DENY",
  [OnStalePb.DENY]: "DENY",
  [OnStalePb.ALLOW]: "ALLOW",
  [OnStalePb.ONLINE]: "ONLINE",
};

/** undefined for a value that this version doesn't know. */
export function onStaleFromProto(value: OnStalePb): OnStale | undefined {
  return onStaleOf[value];
}

export function onStaleToProto(value: OnStale): OnStalePb {
  return { DENY: OnStalePb.DENY, ALLOW: OnStalePb.ALLOW, ONLINE: OnStalePb.ONLINE }[value];
}

/** Gives a delta as it is sent. */
export function keySetItemsToProto(delta: KeySetDelta): MessageInitShape<typeof KeySetItemsSchema> {
  const { signingKeys, audienceKeys, tenantDisabled, issuedBeforeMs } = delta;
  return {
    markedKeys: delta.markedKeys,
    marks: [...delta.marks],
    revokedTokens: delta.revokedTokens,
    forgottenTokens: delta.forgottenTokens,
    changedKeys: delta.changedKeys,
    imported: delta.imported,
    ...(signingKeys && { signingKeys: { keys: signingKeys.map(signingKeyToProto) } }),
    ...(audienceKeys && { audienceKeys: { keys: audienceKeys.map(audienceKeyToProto) } }),
    ...(tenantDisabled !== undefined && { tenantDisabled }),
    ...(issuedBeforeMs !== undefined && { issuedBefore: toTimestamp(issuedBeforeMs) }),
  };
}

/** Gives what was sent. Throws TypeError for what no server sends: ids that aren't whole, marks without a key. */
export function keySetItemsFromProto(items: MessageShape<typeof KeySetItemsSchema>): KeySetDelta {
  const { markedKeys, marks, revokedTokens, forgottenTokens, changedKeys, imported } = items;
  const packed = [markedKeys, revokedTokens, forgottenTokens, changedKeys];
  if (packed.some((ids) => ids.length % 16 !== 0) || markedKeys.length !== marks.length * 16) {
    throw new TypeError("items of a key set are malformed");
  }
  const issuedBeforeMs = items.issuedBefore && fromTimestamp(items.issuedBefore);
  return {
    markedKeys,
    marks,
    revokedTokens,
    forgottenTokens,
    changedKeys,
    imported,
    ...(items.signingKeys && { signingKeys: items.signingKeys.keys.map(signingKeyFromProto) }),
    ...(items.audienceKeys && { audienceKeys: items.audienceKeys.keys.map(audienceKeyFromProto) }),
    ...(items.tenantDisabled !== undefined && { tenantDisabled: items.tenantDisabled }),
    ...(issuedBeforeMs !== undefined && { issuedBeforeMs }),
  };
}

/** Gives the keys that sign feeds as they are sent. */
export function feedKeysToProto(keys: readonly FeedKey[]): MessageInitShape<typeof FeedKeysSchema> {
  return {
    keys: keys.map(({ publicKey, handover }) => ({
      publicKey,
      ...(handover && { predecessorId: handover.predecessorId, predecessorSignature: handover.signature }),
    })),
  };
}

export function feedKeysFromProto({ keys }: MessageShape<typeof FeedKeysSchema>): readonly FeedKey[] {
  return keys.map(({ publicKey, predecessorId, predecessorSignature: signature }) => ({
    publicKey,
    ...(predecessorId !== "" && { handover: { predecessorId, signature } }),
  }));
}

function signingKeyToProto({ kid, state, publicJwk }: PublishedSigningKey) {
  return { kid, state, publicJwk: canonicalJson(publicJwk) };
}

function signingKeyFromProto({
  kid,
  state,
  publicJwk,
}: {
  readonly kid: string;
  readonly state: string;
  readonly publicJwk: string;
}): PublishedSigningKey {
  if (state !== "NEXT" && state !== "ACTIVE" && state !== "RETIRED")
    throw new TypeError("a signing key isn't published");
  return { kid, state, publicJwk: JSON.parse(publicJwk) };
}

function audienceKeyToProto({ generation, key, endTimeMs, ...rest }: AudienceKeyItem) {
  return {
    ...rest,
    key,
    generation: BigInt(generation),
    ...(endTimeMs !== undefined && { endTime: toTimestamp(endTimeMs) }),
  };
}

function audienceKeyFromProto(
  item: NonNullable<MessageShape<typeof KeySetItemsSchema>["audienceKeys"]>["keys"][number],
): AudienceKeyItem {
  const { audience, masterId, generation, key, endTime } = item;
  if (key.length !== 32) throw new TypeError("an audience key has 32 bytes");
  return {
    audience,
    masterId,
    generation: Number(generation),
    key: key as AudienceKey,
    endTimeMs: endTime && fromTimestamp(endTime),
  };
}
