import { create, toBinary } from "@bufbuild/protobuf";
import { WatchKeySetResponseSchema } from "../../dist/gen/ichor/v1/key_set_pb.js";

const hash = new Uint8Array(32).fill(7);
// As long as the server's, so that both send as many bytes.
const signed = { signature: new Uint8Array(64).fill(7), feedKeyId: "x".repeat(43) };
const asOf = { seconds: 1_760_000_000n, nanos: 123_000_000 };

/** The end of a snapshot: what tells a follower that it is up to date. */
export const snapshotEnd = create(WatchKeySetResponseSchema, {
  ...signed,
  event: { case: "snapshotEnd", value: { feed: "public", revision: 1n, hash, digest: hash, asOf } },
});

/** The revocation of one key, as a server tells it. */
export const delta = create(WatchKeySetResponseSchema, {
  ...signed,
  event: {
    case: "delta",
    value: {
      feed: "public",
      prevRevision: 1n,
      revision: 2n,
      hash,
      digest: hash,
      asOf,
      items: { markedKeys: new Uint8Array(16), marks: [2 ** 31], changedKeys: new Uint8Array(16) },
    },
  },
});

/** A message as the protocols send it. */
export function bytesOf(message) {
  return toBinary(WatchKeySetResponseSchema, message);
}
