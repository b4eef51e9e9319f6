import type { Pepper, Peppers } from "../core/digest.ts";
import { IchorError } from "../core/errors.ts";
import type { StoreReads } from "../store/port.ts";

/**
 * Gives the pepper that a secret which is being made is bound to. Throws SECRET_NOT_LOADED if the store has it no more: it
 * was retired, and this server hasn't learned so; a secret under it could never be checked.
 */
export async function pepperToBind(tx: Pick<StoreReads, "hasSealedSecret">, peppers: Peppers): Promise<Pepper> {
  const pepper = peppers.current();
  if (await tx.hasSealedSecret(pepper.id)) return pepper;
  throw new IchorError("SECRET_NOT_LOADED", "the pepper was retired, and the next one isn't known here yet");
}
