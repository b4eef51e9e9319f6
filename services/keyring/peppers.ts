import type { Pepper, Peppers } from "../core/digest.ts";
import { IchorError } from "../core/errors.ts";
import type { SealedSecret, StoreReads } from "../store/port.ts";
import { loadSecrets } from "./loaded-secrets.ts";
import type { MasterKeys } from "./master-key.ts";
import { sealSecret } from "./sealed-secret.ts";

/** Purpose of the sealed secrets that are peppers. */
export const pepperPurpose = "pepper";

const pepperBytes = 32;

/** The store's peppers that this server could open. */
export class LoadedPeppers implements Peppers {
  /** Newest first. */
  readonly newestFirst: readonly Pepper[];
  /** Those that stay sealed, their master key not being loaded, newest first: digests bound to them can't be checked. */
  readonly sealed: readonly Pick<SealedSecret, "id" | "masterKeyId">[];
  readonly #byId: ReadonlyMap<string, Pepper>;

  constructor(newestFirst: readonly Pepper[], sealed: readonly Pick<SealedSecret, "id" | "masterKeyId">[] = []) {
    this.newestFirst = newestFirst;
    this.sealed = sealed;
    this.#byId = new Map(newestFirst.map((pepper) => [pepper.id, pepper]));
  }

  /** The newest one that is loaded. Throws SECRET_NOT_LOADED if there is none. */
  current(): Pepper {
    const [newest] = this.newestFirst;
    if (newest === undefined) throw new IchorError("SECRET_NOT_LOADED", "no pepper is loaded");
    return newest;
  }

  get(id: string): Pepper | undefined {
    return this.#byId.get(id);
  }

  live(): readonly Pepper[] {
    return this.newestFirst;
  }

  someSealed(): boolean {
    return this.sealed.length > 0;
  }
}

/** Reads and opens all peppers of the store. Throws SECRET_NOT_LOADED for one that is damaged. */
export async function loadPeppers(
  store: Pick<StoreReads, "listSealedSecrets">,
  masterKeys: MasterKeys,
): Promise<LoadedPeppers> {
  const { opened, sealed } = await loadSecrets(store, masterKeys, pepperPurpose);
  return new LoadedPeppers(opened, sealed);
}

/** Makes a pepper of 32 random bytes, and the row that it is kept in. */
export function createPepper(
  masterKeys: MasterKeys,
  nowMs: number,
  random: (size: number) => Uint8Array,
): { readonly pepper: Pepper; readonly row: SealedSecret } {
  const pepper = { id: `pep_${Buffer.from(random(8)).toString("hex")}`, key: random(pepperBytes) };
  const row = sealSecret(
    masterKeys,
    { id: pepper.id, purpose: pepperPurpose, createTimeMs: nowMs },
    pepper.key,
    random,
  );
  return { pepper, row };
}
