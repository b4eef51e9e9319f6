import { createCipheriv, createDecipheriv } from "node:crypto";
import { deriveKey, lengthPrefixed } from "../core/derive-key.ts";
import { IchorError } from "../core/errors.ts";
import type { MasterKey, MasterKeys } from "./master-key.ts";

/** Where a secret stands: it opens there only, so that rows can't be swapped. */
export interface SealedPlace {
  /** Absent for secrets of the whole store. */
  readonly tenantId?: string;
  readonly table: string;
  readonly rowId: string;
}

const version = 1;
const algorithm = "A256GCM";
const masterKeyIdBytes = 8;
const nonceBytes = 12;
const tagBytes = 16;
const headerBytes = 1 + masterKeyIdBytes;

/**
 * Seals bytes for one place under the current master key: version 1 ‖ master key id (8 bytes) ‖ nonce (12) ‖ AES-256-GCM
 * ciphertext ‖ tag (16). The data key is the place's own (HKDF of the master key), so that random nonces can't run out;
 * the associated data are version, tenant, table, row id and algorithm, length-prefixed.
 */
export function seal(
  masterKeys: MasterKeys,
  place: SealedPlace,
  plaintext: Uint8Array,
  random: (size: number) => Uint8Array,
): Uint8Array {
  const master = masterKeys.current;
  const nonce = random(nonceBytes);
  const cipher = createCipheriv("aes-256-gcm", dataKey(master, place), nonce, { authTagLength: tagBytes });
  cipher.setAAD(associatedData(place));
  const ciphertext = Buffer.concat([cipher.update(plaintext), cipher.final()]);
  return Buffer.concat([Buffer.of(version), Buffer.from(master.id, "hex"), nonce, ciphertext, cipher.getAuthTag()]);
}

/**
 * Opens what `seal` made for this place. Throws SECRET_NOT_LOADED: with the metadata `master_key_id` if that key isn't
 * loaded; else the bytes were altered, or belong elsewhere.
 */
export function open(masterKeys: MasterKeys, place: SealedPlace, sealed: Uint8Array): Uint8Array {
  if (sealed[0] !== version || sealed.length < headerBytes + nonceBytes + tagBytes) throw damaged(place);
  const master = masterKeys.byId(masterKeyIdOf(sealed));
  if (master === undefined) {
    throw new IchorError("SECRET_NOT_LOADED", "a secret is sealed under a master key that isn't loaded", {
      metadata: { master_key_id: masterKeyIdOf(sealed) },
    });
  }
  const bodyStart = headerBytes + nonceBytes;
  const decipher = createDecipheriv("aes-256-gcm", dataKey(master, place), sealed.subarray(headerBytes, bodyStart), {
    authTagLength: tagBytes,
  });
  decipher.setAAD(associatedData(place));
  decipher.setAuthTag(sealed.subarray(-tagBytes));
  const unverified = decipher.update(sealed.subarray(bodyStart, -tagBytes));
  try {
    // Only now is it known to be authentic.
    return Buffer.concat([unverified, decipher.final()]);
  } catch (cause) {
    throw damaged(place, cause);
  }
}

/** Id of the master key that something is sealed under. */
export function masterKeyIdOf(sealed: Uint8Array): string {
  return Buffer.from(sealed.subarray(1, headerBytes)).toString("hex");
}

function damaged(place: SealedPlace, cause?: unknown): IchorError {
  return new IchorError("SECRET_NOT_LOADED", "a sealed secret is damaged or out of its place", {
    metadata: { table: place.table, row_id: place.rowId },
    cause,
  });
}

function dataKey(master: MasterKey, { table, rowId }: SealedPlace): Uint8Array {
  return deriveKey(master.key, "seal", [table, rowId]);
}

function associatedData({ tenantId = "", table, rowId }: SealedPlace): Buffer {
  return lengthPrefixed([Buffer.of(version), tenantId, table, rowId, algorithm]);
}
