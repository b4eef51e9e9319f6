import { createPrivateKey, generateKeyPairSync } from "node:crypto";
import type { CheckpointSigner } from "../core/audit/checkpoint.ts";
import { importVerificationKey, jwkThumbprint, type PublicJwk } from "../core/jwt/verification-key.ts";
import type { SealedSecret, StoreReads } from "../store/port.ts";
import { loadSecrets } from "./loaded-secrets.ts";
import type { MasterKeys } from "./master-key.ts";
import { sealSecret } from "./sealed-secret.ts";

/** Purpose of the sealed secrets that are keys of checkpoints: whole, or the public part alone once one has retired. */
export const checkpointKeyPurpose = "checkpoint_key";

/** What the log says of a new key, with its thumbprint, so that who keeps the log knows which statements to believe. */
export const checkpointKeyMade = "the key of audit checkpoints was made";

/** A key of checkpoints, as far as this server could open it. */
export interface CheckpointKey {
  /** Id of its row. */
  readonly id: string;
  /** RFC 7638 thumbprint. */
  readonly kid: string;
  /** Absent once it has retired. */
  readonly signer?: CheckpointSigner;
}

/** Those of the store, the newest first. What they are sealed by vouches for them: the database alone can't add one. */
export interface CheckpointKeys {
  readonly keys: readonly CheckpointKey[];
  /** Whether one is there that this server can't open. */
  readonly someSealed: boolean;
}

type Jwk = PublicJwk & { readonly d?: string };

/** Reads and opens the keys of checkpoints. Throws SECRET_NOT_LOADED for one that is damaged. */
export async function loadCheckpointKeys(
  store: Pick<StoreReads, "listSealedSecrets">,
  masterKeys: MasterKeys,
): Promise<CheckpointKeys> {
  const { opened, sealed } = await loadSecrets(store, masterKeys, checkpointKeyPurpose);
  return { keys: opened.map(({ id, key }) => checkpointKeyOf(id, key)), someSealed: sealed.length > 0 };
}

/** Makes a key and the row that keeps it. */
export function newCheckpointKey(
  masterKeys: MasterKeys,
  nowMs: number,
  random: (size: number) => Uint8Array,
): { readonly key: CheckpointKey; readonly row: SealedSecret } {
  const id = `cpk_${Buffer.from(random(8)).toString("hex")}`;
  const { privateKey } = generateKeyPairSync("ed25519");
  const { kty = "", crv = "", x = "", d = "" } = privateKey.export({ format: "jwk" });
  const plaintext = Buffer.from(JSON.stringify({ kty, crv, x, d, alg: "EdDSA" }));
  const row = sealSecret(masterKeys, { id, purpose: checkpointKeyPurpose, createTimeMs: nowMs }, plaintext, random);
  return { key: checkpointKeyOf(id, plaintext), row };
}

/** The row of a key without its private part, for the place of the whole one. */
export function retiredCheckpointKey(
  masterKeys: MasterKeys,
  row: SealedSecret,
  { publicJwk }: CheckpointSigner,
  random: (size: number) => Uint8Array,
): SealedSecret {
  return sealSecret(masterKeys, row, Buffer.from(JSON.stringify(publicJwk)), random);
}

function checkpointKeyOf(id: string, plaintext: Uint8Array): CheckpointKey {
  const { d, ...publicJwk }: Jwk = JSON.parse(Buffer.from(plaintext).toString("utf8"));
  const { kid } = importVerificationKey(publicJwk);
  if (d === undefined) return { id, kid };
  const { kty, crv, x } = publicJwk;
  const privateKey = createPrivateKey({ key: { kty, ...(crv && { crv }), ...(x && { x }), d }, format: "jwk" });
  return { id, kid: jwkThumbprint(publicJwk), signer: { kid, publicJwk, privateKey } };
}
