import type { Store } from "../store/port.ts";
import type { MasterKeys } from "./master-key.ts";
import { openSecret, sealSecret } from "./sealed-secret.ts";

const pageSize = 100;

/** How far a rewrap has come. */
export interface RewrapProgress {
  /** Secrets that were sealed anew under the current master key. */
  readonly moved: number;
  /** Secrets whose master key isn't loaded: they stay as they are. */
  readonly stuck: number;
}

/**
 * Seals every secret of the store anew under the current master key, while servers work: each row by a compare-and-set,
 * so that several may do this at once, and it can be stopped and begun again. The secrets themselves stay the same.
 * Throws SECRET_NOT_LOADED for one that is damaged.
 */
export async function rewrapSecrets(
  store: Pick<Store, "secretsNotUnder" | "resealSecret">,
  masterKeys: MasterKeys,
  random: (size: number) => Uint8Array,
  onProgress: (progress: RewrapProgress) => void = () => {},
): Promise<RewrapProgress> {
  let progress: RewrapProgress = { moved: 0, stuck: 0 };
  for (let afterId = ""; ; ) {
    const page = await store.secretsNotUnder(masterKeys.current.id, afterId, pageSize);
    for (const row of page) {
      const loaded = masterKeys.byId(row.masterKeyId) !== undefined;
      const resealed = loaded && sealSecret(masterKeys, row, openSecret(masterKeys, row), random);
      const moved = resealed && (await store.resealSecret(row, resealed));
      progress = { moved: progress.moved + (moved ? 1 : 0), stuck: progress.stuck + (loaded ? 0 : 1) };
    }
    onProgress(progress);
    const last = page.at(-1);
    if (last === undefined || page.length < pageSize) return progress;
    afterId = last.id;
  }
}
