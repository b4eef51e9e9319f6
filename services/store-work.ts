import { recordCopy } from "./changes/record-copy.ts";
import { backupFile } from "./store/backup-file.ts";
import { type CopyOptions, type CopyReport, copyStore, unfenceStore } from "./store/copy-store.ts";
import { withStore } from "./store/with-store.ts";

/** What work on whole stores needs of its process. */
export interface StoreWorkDeps {
  /** Ms since the epoch. */
  readonly now: () => number;
  /** Random bytes of a cryptographic source. */
  readonly random: (size: number) => Uint8Array;
}

const log = { info() {}, error() {} };

/** Copies a store into an empty database (see store/copy-store.ts) and writes an audit event of it into the copy. */
export async function copyWholeStore(
  options: Pick<CopyOptions, "from" | "to" | "onProgress" | "stop">,
  { now, random }: StoreWorkDeps,
): Promise<CopyReport> {
  const deps = { clock: { now }, random, log };
  const report = await copyStore({ ...options, ...deps });
  await withStore({ url: options.to, migrate: false, now, random }, (copy) => recordCopy(copy, report));
  return report;
}

/** Backs a SQLite store up into a new file; see store/backup-file.ts. */
export function backupStore(url: string, to: string): void {
  backupFile(url, to);
}

/** Gives up a copy, so that the source is used again. False if it wasn't fenced. */
export function openFencedStore(url: string, { now, random }: StoreWorkDeps): Promise<boolean> {
  return unfenceStore(url, { clock: { now }, random, log });
}
