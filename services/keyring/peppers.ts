import { currentPepper, pepperLeadMs } from "../core/current-pepper.ts";
import type { Pepper, Peppers } from "../core/digest.ts";
import { IchorError } from "../core/errors.ts";
import type { SealedSecret, StoreReads } from "../store/port.ts";
import type { SecretsRead } from "./followed-secrets.ts";
import { loadSecrets } from "./loaded-secrets.ts";
import type { MasterKeys } from "./master-key.ts";
import { sealSecret } from "./sealed-secret.ts";

/** Purpose of the sealed secrets that are peppers. */
export const pepperPurpose = "pepper";

const pepperBytes = 32;

/** The store's peppers that this server could open, as of one moment. */
export class LoadedPeppers implements Peppers {
  /** Those that stay sealed, their master key not being loaded, newest first: digests bound to them can't be checked. */
  readonly sealed: readonly Pick<SealedSecret, "id" | "masterKeyId">[];
  /** Asked for on every verification. */
  readonly #current: Pepper | undefined;
  readonly #currentFirst: readonly Pepper[];
  readonly #byId: ReadonlyMap<string, Pepper>;

  constructor(currentFirst: readonly Pepper[], sealed: readonly Pick<SealedSecret, "id" | "masterKeyId">[] = []) {
    this.sealed = sealed;
    this.#current = currentFirst[0];
    this.#currentFirst = currentFirst;
    this.#byId = new Map(currentFirst.map((pepper) => [pepper.id, pepper]));
  }

  /** Throws SECRET_NOT_LOADED if none is loaded. */
  current(): Pepper {
    if (this.#current === undefined) throw new IchorError("SECRET_NOT_LOADED", "no pepper is loaded");
    return this.#current;
  }

  get(id: string): Pepper | undefined {
    return this.#byId.get(id);
  }

  live(): readonly Pepper[] {
    return this.#currentFirst;
  }

  someSealed(): boolean {
    return this.sealed.length > 0;
  }
}

/** Reads and opens all peppers of the store, as of `nowMs`. Throws SECRET_NOT_LOADED for one that is damaged. */
export async function loadPeppers(
  store: Pick<StoreReads, "listSealedSecrets">,
  masterKeys: MasterKeys,
  nowMs: number,
): Promise<SecretsRead<LoadedPeppers>> {
  const { opened, sealed } = await loadSecrets(store, masterKeys, pepperPurpose);
  const current = currentPepper(opened, nowMs);
  const leads = opened.map(({ createTimeMs }) => createTimeMs + pepperLeadMs - nowMs).filter((ms) => ms > 0);
  const currentFirst = opened.filter((pepper) => pepper === current).concat(opened.filter((one) => one !== current));
  return {
    secrets: new LoadedPeppers(currentFirst, sealed),
    // Until another one becomes current.
    changesInMs: opened.length > 1 && leads.length > 0 ? Math.min(...leads) : undefined,
  };
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
