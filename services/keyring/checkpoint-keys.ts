import type { StoreReads } from "../store/port.ts";
import type { MasterKeys } from "./master-key.ts";
import { loadSigningSecrets, type SigningPurpose, type SigningSecrets } from "./signing-secret.ts";

/** Keys of audit checkpoints. Who keeps the log, which tells their thumbprints, knows which statements to believe. */
export const checkpointKey: SigningPurpose = {
  purpose: "checkpoint_key",
  idPrefix: "cpk",
  event: "checkpoint_key_added",
  creates: "CreateCheckpointKey",
  rotates: "RotateCheckpointKey",
  made: "the key of audit checkpoints was made",
};

/** Those of the store. Throws SECRET_NOT_LOADED for one that is damaged. */
export function loadCheckpointKeys(
  store: Pick<StoreReads, "listSealedSecrets">,
  masterKeys: MasterKeys,
): Promise<SigningSecrets> {
  return loadSigningSecrets(store, masterKeys, checkpointKey);
}
