import { type Checkpoint, type CheckpointSigner, signCheckpoint } from "../core/audit/checkpoint.ts";
import { byItself } from "../core/audit-event.ts";
import { IchorError } from "../core/errors.ts";
import { defaultTenantSlug } from "../core/tenant.ts";
import type { CheckpointRow } from "../store/audit-port.ts";
import type { Mutation, Store } from "../store/port.ts";
import {
  type CheckpointKey,
  checkpointKeyMade,
  checkpointKeyPurpose,
  loadCheckpointKeys,
  newCheckpointKey,
  retiredCheckpointKey,
} from "./checkpoint-keys.ts";
import type { MasterKeys } from "./master-key.ts";

/** Time between two checkpoints, in ms, as long as the log grows: so much of it can be cut without a trace. */
export const checkpointIntervalMs = 5 * 60_000;

export interface CheckpointDeps {
  readonly store: Store;
  readonly masterKeys: MasterKeys;
  readonly random: (size: number) => Uint8Array;
  /** Ms since the epoch. */
  readonly now: () => number;
  readonly log: { info(fields: object, message: string): void };
}

/**
 * Signs where the log stands, if it has grown and the last checkpoint is old enough; makes the key if there is none. The
 * statement goes into the store and into the log of this process, since whoever can change the one can't change the
 * other. Of several servers one does it: the number of a checkpoint is taken once.
 */
export async function tendCheckpoints(deps: CheckpointDeps): Promise<void> {
  const signer = await currentSigner(deps);
  const last = await deps.store.audit.lastCheckpoint();
  const { revision } = await deps.store.head();
  const isDue = last === undefined || deps.now() - last.timeMs >= checkpointIntervalMs;
  if (!isDue || last?.revision === revision || signer === undefined) return;
  await addCheckpoint(deps, signer, last);
}

/**
 * Puts another key in the place of the one that signs checkpoints. The old one hands over by a last statement, which
 * names the new one, and keeps its public part only. Gives the thumbprint of the new one. Throws SECRET_NOT_LOADED if the
 * old one can't be opened.
 */
export async function rotateCheckpointKey(deps: CheckpointDeps): Promise<string> {
  const { store, masterKeys, random, now } = deps;
  const old = await currentSigner(deps);
  if (old === undefined) throw new IchorError("SECRET_NOT_LOADED", "the key of checkpoints can't be opened");
  const { key, row } = newCheckpointKey(masterKeys, now(), random);
  // If what follows fails, the old one has named a key that nobody uses: then it goes on signing.
  while (!(await addCheckpoint(deps, old, await store.audit.lastCheckpoint(), key.kid)));
  await store.mutate(async (tx): Promise<Mutation<void>> => {
    const rows = await tx.listSealedSecrets(checkpointKeyPurpose);
    const { keys } = await loadCheckpointKeys(tx, masterKeys);
    for (const { id, signer } of keys) {
      const whole = rows.find((one) => one.id === id);
      if (signer === undefined || whole === undefined) continue;
      await tx.deleteSealedSecret(id);
      await tx.insertSealedSecret(retiredCheckpointKey(masterKeys, whole, signer, random));
    }
    await tx.insertSealedSecret(row);
    return added(await homeOf(tx), "RotateCheckpointKey", key);
  });
  deps.log.info({ kid: key.kid, predecessor: old.kid }, "the key of audit checkpoints was rotated");
  return key.kid;
}

/** The key that signs now, made if the store has none; undefined: it is there, but can't be opened here. */
async function currentSigner(deps: CheckpointDeps): Promise<CheckpointSigner | undefined> {
  const { store, masterKeys, random, now, log } = deps;
  const { keys, someSealed } = await loadCheckpointKeys(store, masterKeys);
  const signer = keys.find((key) => key.signer !== undefined)?.signer;
  if (signer !== undefined || someSealed) return signer;
  const fresh = newCheckpointKey(masterKeys, now(), random);
  const { result: made } = await store.mutate(async (tx): Promise<Mutation<boolean>> => {
    if ((await tx.listSealedSecrets(checkpointKeyPurpose)).length > 0) return { result: false, unchanged: true };
    await tx.insertSealedSecret(fresh.row);
    return { ...added(await homeOf(tx), "CreateCheckpointKey", fresh.key), result: true };
  });
  if (!made) return (await loadCheckpointKeys(store, masterKeys)).keys.find((key) => key.signer)?.signer;
  log.info({ kid: fresh.key.kid }, checkpointKeyMade);
  return fresh.key.signer;
}

/** Signs where the log stands now; false if another server took the number. */
async function addCheckpoint(
  { store, now, log }: CheckpointDeps,
  signer: CheckpointSigner,
  last: CheckpointRow | undefined,
  successor?: string,
): Promise<boolean> {
  const { storeEpoch, revision, hash } = await store.head();
  const number = (last?.number ?? 0n) + 1n;
  const checkpoint: Checkpoint = { number, storeEpoch, revision, hash, timeMs: now(), successor };
  const statement = await signCheckpoint(checkpoint, signer);
  const { timeMs } = checkpoint;
  if (!(await store.audit.insertCheckpoint({ number, revision, timeMs, kid: signer.kid, statement }))) return false;
  const fields = { number: String(number), revision: String(revision), kid: signer.kid, statement };
  log.info(fields, "audit checkpoint");
  return true;
}

function added(tenantId: Parameters<typeof byItself>[0], action: string, key: CheckpointKey) {
  return {
    result: undefined,
    change: { kind: "secret", event: "checkpoint_key_added" },
    audit: byItself(tenantId, action, key.kid),
  } as const;
}

async function homeOf(tx: Pick<Store, "getTenantBySlug">) {
  const home = await tx.getTenantBySlug(defaultTenantSlug);
  if (home === undefined) throw new TypeError("a store that was started has a tenant default");
  return home.id;
}
