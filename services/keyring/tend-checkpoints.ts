import { type Checkpoint, type CheckpointSigner, signCheckpoint } from "../core/audit/checkpoint.ts";
import { IchorError } from "../core/errors.ts";
import type { CheckpointRow } from "../store/audit-port.ts";
import { checkpointKey, loadCheckpointKeys } from "./checkpoint-keys.ts";
import {
  canSign,
  ensureSigner,
  newSigner,
  rewriteSigner,
  type Signer,
  type SigningDeps,
  signerChange,
} from "./signing-secret.ts";

/** Time between two checkpoints, in ms, as long as the log grows: so much of it can be cut without a trace. */
export const checkpointIntervalMs = 5 * 60_000;

/**
 * Signs where the log stands, if it has grown and the last checkpoint is old enough; makes the key if there is none. The
 * statement goes into the store and into the log of this process, since whoever can change the one can't change the
 * other. Of several servers one does it: the number of a checkpoint is taken once.
 */
export async function tendCheckpoints(deps: SigningDeps): Promise<void> {
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
export async function rotateCheckpointKey(deps: SigningDeps): Promise<string> {
  const { store, masterKeys } = deps;
  const old = await currentSigner(deps);
  if (old === undefined) throw new IchorError("SECRET_NOT_LOADED", "the key of checkpoints can't be opened");
  const fresh = newSigner(deps, checkpointKey, () => ({}));
  const { kid } = fresh.key;
  // If what follows fails, the old one has named a key that nobody uses: then it goes on signing.
  while (!(await addCheckpoint(deps, old, await store.audit.lastCheckpoint(), kid)));
  await store.mutate(async (tx) => {
    for (const { privateKey: _, ...retired } of (await loadCheckpointKeys(tx, masterKeys)).keys)
      await rewriteSigner(tx, deps, checkpointKey, retired);
    await tx.insertSealedSecret(fresh.row);
    return { result: undefined, ...(await signerChange(tx, checkpointKey, checkpointKey.rotates, kid)) };
  });
  deps.log.info({ kid, predecessor: old.kid }, "the key of audit checkpoints was rotated");
  return kid;
}

/** The key that signs now, made if the store has none; undefined: it is there, but can't be opened here. */
async function currentSigner(deps: SigningDeps): Promise<Signer | undefined> {
  return (await ensureSigner(deps, checkpointKey, () => ({}))).keys.find(canSign);
}

/** Signs where the log stands now; false if another server took the number. */
async function addCheckpoint(
  { store, now, log }: SigningDeps,
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
