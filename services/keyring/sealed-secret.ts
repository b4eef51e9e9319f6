import type { SealedSecret } from "../store/port.ts";
import type { MasterKeys } from "./master-key.ts";
import { open, type SealedPlace, seal } from "./seal.ts";

/** Seals a secret as a row of the store. */
export function sealSecret(
  masterKeys: MasterKeys,
  row: Pick<SealedSecret, "id" | "tenantId" | "purpose" | "createTimeMs">,
  plaintext: Uint8Array,
  random: (size: number) => Uint8Array,
): SealedSecret {
  return { ...row, masterKeyId: masterKeys.current.id, sealed: seal(masterKeys, placeOf(row), plaintext, random) };
}

/** Opens a row of the store. Throws SECRET_NOT_LOADED; see `open`. */
export function openSecret(masterKeys: MasterKeys, row: SealedSecret): Uint8Array {
  return open(masterKeys, placeOf(row), row.sealed);
}

/** The purpose belongs to the place: a secret made for one isn't taken for another. */
function placeOf({ id, tenantId, purpose }: Pick<SealedSecret, "id" | "tenantId" | "purpose">): SealedPlace {
  return { ...(tenantId !== undefined && { tenantId }), table: "sealed_secret", rowId: `${purpose}/${id}` };
}
