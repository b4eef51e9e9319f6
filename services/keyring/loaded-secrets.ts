import type { SealedSecret, StoreReads } from "../store/port.ts";
import type { MasterKeys } from "./master-key.ts";
import { openSecret } from "./sealed-secret.ts";

/** A secret of the whole store, opened. */
export interface LoadedSecret {
  /** Safe to log. */
  readonly id: string;
  /** Never logged. */
  readonly key: Uint8Array;
  /** Ms since the epoch. */
  readonly createTimeMs: number;
}

/** The secrets of one purpose, as far as this server could open them; the newest first. */
export interface LoadedSecrets {
  readonly opened: readonly LoadedSecret[];
  /** Those whose master key isn't loaded. */
  readonly sealed: readonly Pick<SealedSecret, "id" | "masterKeyId">[];
}

/** Reads and opens all secrets of a purpose. Throws SECRET_NOT_LOADED for one that is damaged. */
export async function loadSecrets(
  store: Pick<StoreReads, "listSealedSecrets">,
  masterKeys: MasterKeys,
  purpose: string,
): Promise<LoadedSecrets> {
  const rows = [...(await store.listSealedSecrets(purpose))].sort(newerFirst);
  const openable = rows.filter(({ masterKeyId }) => masterKeys.byId(masterKeyId) !== undefined);
  return {
    opened: openable.map((row) => ({ id: row.id, key: openSecret(masterKeys, row), createTimeMs: row.createTimeMs })),
    sealed: rows.filter((row) => !openable.includes(row)),
  };
}

/** The order of secrets by their age. */
export function newerFirst(a: SealedSecret, b: SealedSecret): number {
  return b.createTimeMs - a.createTimeMs || (a.id < b.id ? 1 : -1);
}
