import { currentPepper } from "../core/current-pepper.ts";
import type { PepperUse, Store } from "../store/port.ts";
import { newerFirst } from "./loaded-secrets.ts";
import type { MasterKeys } from "./master-key.ts";
import { pepperPurpose } from "./peppers.ts";

/** A pepper and what is bound to it. */
export interface PepperStatus extends PepperUse {
  /** Ms since the epoch; absent for one that was retired. */
  readonly createTimeMs?: number;
  /** Whether new and seen secrets are bound to it. */
  readonly current: boolean;
}

/** A master key and how many rows are sealed under it. */
export interface MasterKeyStatus {
  readonly masterKeyId: string;
  readonly secrets: number;
  /** Whether the file holds it, and holds it first. */
  readonly loaded: boolean;
  readonly current: boolean;
}

export interface SecretsStatus {
  /** The newest first; those that were retired by force last. */
  readonly peppers: readonly PepperStatus[];
  /** Those of the file in its order, then those that it lacks. */
  readonly masterKeys: readonly MasterKeyStatus[];
}

/** Gives what secrets of the store are bound to and sealed under; reads every secret version. */
export async function secretsStatus(
  store: Pick<Store, "listSealedSecrets" | "secretUse">,
  masterKeys: MasterKeys,
  nowMs: number,
): Promise<SecretsStatus> {
  const rows = [...(await store.listSealedSecrets(pepperPurpose))].sort(newerFirst);
  const current = currentPepper(rows, nowMs);
  const use = await store.secretUse(nowMs);
  const useOf = new Map(use.peppers.map((one) => [one.pepperId, one]));
  const there = rows.map(({ id: pepperId, createTimeMs }) => ({
    ...(useOf.get(pepperId) ?? { pepperId, live: 0, dead: 0, tombstones: 0 }),
    createTimeMs,
    current: pepperId === current?.id,
  }));
  const retired = use.peppers.filter(({ pepperId }) => !rows.some(({ id }) => id === pepperId));
  const counts = new Map(use.masterKeys.map(({ masterKeyId, secrets }) => [masterKeyId, secrets]));
  return {
    peppers: [...there, ...retired.map((one) => ({ ...one, current: false }))],
    masterKeys: [...new Set([...masterKeys.ids, ...counts.keys()])].map((masterKeyId) => ({
      masterKeyId,
      secrets: counts.get(masterKeyId) ?? 0,
      loaded: masterKeys.byId(masterKeyId) !== undefined,
      current: masterKeyId === masterKeys.current.id,
    })),
  };
}
