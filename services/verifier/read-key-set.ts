import type { Timestamp } from "@bufbuild/protobuf/wkt";
import { type WatchKeySetResponse, WatchKeySetResponseSchema } from "../../gen/ichor/v1/key_set_pb.ts";
import { idBytes, parseId } from "../core/ids.ts";
import { readMark } from "../core/key-set/key-mark.ts";
import { feedKeysFromProto, publicFeed } from "../wire/key-set.ts";
import { readSizeDelimited } from "../wire/size-delimited.ts";
import { fromTimestamp } from "../wire/time.ts";
import { systemClock } from "./clock.ts";
import { EventRefused, FeedTrust, type TrustOptions } from "./feed-trust.ts";
import { FeedReplica } from "./replica.ts";

/** What `GET /v1/keyset` told: a tenant's signing keys and revocations as of a moment. */
export interface SignedKeySet {
  readonly issuer: string;
  readonly tenantId: string;
  readonly storeEpoch: string;
  readonly revision: bigint;
  /** Whatever was committed before is in it. How old it may be is for the reader to say. */
  readonly asOf: Date;
  /** Thumbprint of the feed key that signed it. */
  readonly feedKeyId: string;
  /** Public keys of the tenant's JWTs (RFC 7517). */
  readonly signingKeys: readonly Readonly<Record<string, string>>[];
  readonly tenantDisabled: boolean;
  /** Tokens issued before are dead; absent: none is for that. */
  readonly issuedBefore?: Date;
  /** What is known of a key by its id `key_…`; undefined: nothing, so that its tokens live. */
  keyState(
    keyId: string,
  ): { readonly status: "LIVE" | "DISABLED" | "REVOKED"; readonly tokenEpoch: number } | undefined;
  /** Whether a token was revoked by itself, by its id `tok_…`. */
  isTokenRevoked(tokenId: string): boolean;
}

/**
 * Reads the body of `GET /v1/keyset`, wherever it was fetched from. Throws EventRefused unless it is whole and signed for the
 * issuer by one of the feed keys, or one that they handed over to.
 */
export async function readKeySet(
  body: Uint8Array,
  { feedKeys, issuer }: { readonly feedKeys: readonly string[]; readonly issuer: string },
): Promise<SignedKeySet> {
  const trust = new FeedTrust({ feedKeys, issuer } satisfies TrustOptions);
  const feed = new FeedReplica(publicFeed, systemClock, trust);
  let identity = { issuer: "", tenantId: "" };
  let asOf: Timestamp | undefined;
  try {
    for (const response of readSizeDelimited(WatchKeySetResponseSchema, body)) {
      const { event } = response;
      if (event.case === "subscribed") {
        identity = event.value;
        trust.begin(identity);
      } else if (event.case === "feedKeys") trust.take(feedKeysFromProto(event.value));
      else if (isOf(response, publicFeed)) {
        await feed.take(response);
        // Only now is it known to be authentic.
        if (event.case === "snapshotEnd") asOf = event.value.asOf;
      }
    }
  } catch (cause) {
    if (cause instanceof EventRefused) throw cause;
    throw new EventRefused("it is no key set", { cause });
  }
  const { position, state } = feed;
  if (position === undefined) throw new EventRefused("the key set is cut off");
  const { signingKeys, tenantDisabled, issuedBeforeMs } = state;
  return {
    ...{ issuer: identity.issuer, tenantId: identity.tenantId, storeEpoch: position.storeEpoch },
    ...{
      revision: position.revision,
      asOf: new Date((asOf && fromTimestamp(asOf)) ?? 0),
      feedKeyId: trust.signedBy,
      tenantDisabled,
    },
    signingKeys: signingKeys.map(({ publicJwk }) => publicJwk),
    ...(issuedBeforeMs > 0 && { issuedBefore: new Date(issuedBeforeMs) }),
    keyState(keyId) {
      const id = parseId("key", keyId);
      const mark = id === undefined ? 0 : state.markOf(idBytes(id));
      // A mark of another version's making says that something is wrong with the key.
      return mark === 0 ? undefined : (readMark(mark) ?? { status: "REVOKED", tokenEpoch: 0 });
    },
    isTokenRevoked(tokenId) {
      const id = parseId("tok", tokenId);
      return id !== undefined && state.isTokenRevoked(idBytes(id));
    },
  };
}

function isOf({ event }: WatchKeySetResponse, feed: string): boolean {
  const { value } = event;
  return value !== undefined && "feed" in value && value.feed === feed;
}
