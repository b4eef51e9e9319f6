import { importedDigest, type Peppers } from "../core/digest.ts";
import { IchorError } from "../core/errors.ts";
import type { KeyId, TenantId } from "../core/ids.ts";
import type { StoreReads } from "../store/port.ts";

/** Which of some imported credentials a tenant knows, each by the SHA-256 of its text. */
export interface KnownCredentials {
  /** The key that has this credential, whatever its status. */
  keyIdOf(rawSha256: Uint8Array): KeyId | undefined;
  /** The digests of a deleted key that had this credential and was revoked. */
  tombstonesOf(rawSha256: Uint8Array): readonly Uint8Array[];
  /** Notes a credential that is being imported, so that it isn't twice. */
  add(rawSha256: Uint8Array, keyId: KeyId): void;
}

/**
 * Looks imported credentials up under every live pepper, all at once.
 * Throws SECRET_NOT_LOADED if one of the store's peppers isn't loaded: a key could be bound to it.
 */
export async function knownCredentials(
  store: Pick<StoreReads, "keysOfDigests" | "importTombstones">,
  tenantId: TenantId,
  hashes: readonly Uint8Array[],
  peppers: Peppers,
): Promise<KnownCredentials> {
  if (peppers.someSealed())
    throw new IchorError("SECRET_NOT_LOADED", "a pepper that keys may be bound to is not loaded");
  const live = peppers.live();
  const digestsOf = (rawSha256: Uint8Array) => live.map((pepper) => importedDigest(pepper, tenantId, rawSha256));
  const digests = hashes.flatMap(digestsOf);
  const keyIds = new Map(
    (await store.keysOfDigests(tenantId, digests)).map(({ digest, keyId }) => [hex(digest), keyId]),
  );
  const tombstones = new Set((await store.importTombstones(tenantId, digests)).map(hex));
  const added = new Map<string, KeyId>();
  return {
    keyIdOf: (rawSha256) => {
      const digest = digestsOf(rawSha256).find((one) => keyIds.has(hex(one)));
      return digest === undefined ? added.get(hex(rawSha256)) : keyIds.get(hex(digest));
    },
    tombstonesOf: (rawSha256) => digestsOf(rawSha256).filter((digest) => tombstones.has(hex(digest))),
    add: (rawSha256, keyId) => void added.set(hex(rawSha256), keyId),
  };
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}
