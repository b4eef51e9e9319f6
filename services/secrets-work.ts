import type { KeyId } from "./core/ids.ts";
import { loadMasterKeys, type MasterKeys } from "./keyring/master-key.ts";
import { addPepper, type Retirement, retirePepper } from "./keyring/pepper-rotation.ts";
import { type RewrapProgress, rewrapSecrets } from "./keyring/rewrap.ts";
import { type SecretsStatus, secretsStatus } from "./keyring/secrets-status.ts";
import { rotateCheckpointKey } from "./keyring/tend-checkpoints.ts";
import {
  type FeedKeyRotation,
  type FeedKeyStanding,
  feedKeyStandings,
  rotateFeedKey,
} from "./keyring/tend-feed-keys.ts";
import { makeRootCredential } from "./root-key.ts";
import type { Store } from "./store/port.ts";
import { withStore } from "./store/with-store.ts";

/** What work on the secrets of a store needs of its process. */
export interface SecretsWorkDeps {
  /** Ms since the epoch. */
  readonly now: () => number;
  /** Random bytes of a cryptographic source. */
  readonly random: (size: number) => Uint8Array;
}

/** Where the store is, and what opens it. */
export interface SecretsWorkPlace {
  readonly databaseUrl: string;
  readonly masterKeyFile: string;
}

/** Work on the secrets of a store, beside the servers: they may run meanwhile. Each call opens the store, and closes it after. */
export function secretsWork({ databaseUrl, masterKeyFile }: SecretsWorkPlace, { now, random }: SecretsWorkDeps) {
  const open = <T>(use: (store: Store, masterKeys: MasterKeys) => Promise<T>): Promise<T> => {
    const masterKeys = loadMasterKeys(masterKeyFile);
    return withStore({ url: databaseUrl, migrate: false, now, random }, (store) => use(store, masterKeys));
  };
  return {
    /** Seals every secret of the store anew under the current master key; see keyring/rewrap.ts. */
    rewrap: (onProgress: (progress: RewrapProgress) => void): Promise<RewrapProgress> =>
      open((store, masterKeys) => rewrapSecrets(store, masterKeys, random, onProgress)),
    /** Puts another key in the place of the one that signs audit checkpoints; gives its thumbprint. */
    rotateCheckpointKey: (): Promise<string> =>
      open((store, masterKeys) => rotateCheckpointKey({ store, masterKeys, random, now, log: { info() {} } })),
    /** The keys that sign feeds; see keyring/tend-feed-keys.ts. */
    feedKeys: (): Promise<readonly FeedKeyStanding[]> =>
      open((store, masterKeys) => feedKeyStandings({ store, masterKeys, now })),
    rotateFeedKey: (force: boolean): Promise<FeedKeyRotation> =>
      open((store, masterKeys) => rotateFeedKey({ store, masterKeys, random, now, log: { info() {} } }, force)),
    /** Makes another root credential and writes it to a new file; see root-key.ts. */
    newRootCredential: (file: string): Promise<KeyId> =>
      open((store, masterKeys) => makeRootCredential(store, masterKeys, file, { now, random })),
    status: (): Promise<SecretsStatus> => open((store, masterKeys) => secretsStatus(store, masterKeys, now())),
    /** Gives the new pepper's id. */
    addPepper: (): Promise<string> => open((store, masterKeys) => addPepper({ store, now }, masterKeys, random)),
    retirePepper: (pepperId: string, force: boolean): Promise<Retirement> =>
      open((store) => retirePepper({ store, now }, pepperId, force)),
  };
}
