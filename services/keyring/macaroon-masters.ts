import { audienceKeyBytes } from "../core/macaroon/audience-key.ts";
import type { SealedSecret } from "../store/port.ts";
import type { MasterKeys } from "./master-key.ts";
import { sealSecret } from "./sealed-secret.ts";

/** Purpose of the sealed secrets that audience keys are derived from. */
export const macaroonMasterPurpose = "macaroon_master";

/** Makes the row of a new macaroon master. */
export function createMacaroonMaster(
  masterKeys: MasterKeys,
  nowMs: number,
  random: (size: number) => Uint8Array,
): SealedSecret {
  const id = `mas_${Buffer.from(random(8)).toString("hex")}`;
  return sealSecret(
    masterKeys,
    { id, purpose: macaroonMasterPurpose, createTimeMs: nowMs },
    random(audienceKeyBytes),
    random,
  );
}
