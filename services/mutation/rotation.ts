import type { ApiKey } from "../core/api-key.ts";
import { formatIssuedKey } from "../core/credential.ts";
import { issuedDigest, type Peppers } from "../core/digest.ts";
import { rotateKey } from "../core/key-life.ts";
import type { StoreTransaction } from "../store/port.ts";
import { apiKeyToProto } from "../wire/api-key.ts";
import { pepperToBind } from "./pepper-to-bind.ts";

/** Longest that a superseded secret may live on, in ms. */
export const gracePeriodMsMax = 30 * 86_400_000;
export const gracePeriodMsDefault = 24 * 3_600_000;

export interface RotationDeps {
  readonly peppers: Peppers;
  /** Random bytes of a cryptographic source. */
  readonly random: (size: number) => Uint8Array;
}

/** A rotation as `mutateKey` takes it, whoever asks for it: makes the secret and tells it once. */
export function rotation(
  { peppers, random }: RotationDeps,
  { gracePeriodMs, revokeDerived }: { readonly gracePeriodMs: number; readonly revokeDerived: boolean },
) {
  const secret = random(32);
  return {
    event: "rotated" as const,
    change: async (key: ApiKey, nowMs: number, tx: StoreTransaction) => {
      const pepper = await pepperToBind(tx, peppers);
      const digest = issuedDigest(pepper, key.tenantId, key.id, secret);
      return rotateKey(key, { digest, pepperId: pepper.id, nowMs, gracePeriodMs, revokeDerived });
    },
    respond: (key: ApiKey, revision: bigint, nowMs: number) => ({
      apiKey: apiKeyToProto(key, nowMs),
      credential: formatIssuedKey(key.prefix, key.id, secret),
      revision,
    }),
    recall: tellKey.recall,
  };
}

/** The answer of every method that tells a key and holds no secret. */
export const tellKey = {
  respond: (key: ApiKey, revision: bigint, nowMs: number) => ({ apiKey: apiKeyToProto(key, nowMs), revision }),
  recall: (key: ApiKey | undefined, revision: bigint, nowMs: number) => ({
    ...(key && { apiKey: apiKeyToProto(key, nowMs) }),
    revision,
  }),
};
