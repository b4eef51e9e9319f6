import type { Pepper, Peppers } from "../core/digest.ts";
import type { StoreReads } from "../store/port.ts";
import { FollowedSecrets, type FollowedSecretsDeps } from "./followed-secrets.ts";
import type { MasterKeys } from "./master-key.ts";
import { LoadedPeppers, loadPeppers } from "./peppers.ts";

/** From this age of the change log on, a pepper may have been added that isn't known here, in ms. */
const stalenessMsMax = 5_000;

export interface PepperRingDeps extends Omit<FollowedSecretsDeps, "what"> {
  readonly store: Pick<StoreReads, "listSealedSecrets">;
  readonly masterKeys: MasterKeys;
  /** Ms since the epoch. */
  readonly now: () => number;
}

/**
 * The store's peppers as the change log tells them. A new one becomes current once every server knows it; who can't know
 * all of them says that some aren't loaded, so that nobody takes a key for unknown that is bound to one of these.
 */
export class PepperRing implements Peppers {
  readonly #followed: PepperRingDeps["followed"];
  readonly #peppers: FollowedSecrets<LoadedPeppers>;

  private constructor(deps: PepperRingDeps) {
    const { store, masterKeys, now, followed } = deps;
    this.#followed = followed;
    this.#peppers = new FollowedSecrets({ ...deps, what: "the peppers" }, () => loadPeppers(store, masterKeys, now()));
  }

  /**
   * Reads and opens the peppers, once the log is followed: what is added from then on is told. Throws SECRET_NOT_LOADED for
   * one that is damaged.
   */
  static async load(deps: PepperRingDeps): Promise<PepperRing> {
    const ring = new PepperRing(deps);
    await ring.#peppers.load();
    return ring;
  }

  current(): Pepper {
    return this.#loaded.current();
  }

  get(id: string): Pepper | undefined {
    return this.#loaded.get(id);
  }

  live(): readonly Pepper[] {
    return this.#loaded.live();
  }

  someSealed(): boolean {
    return this.#peppers.uncertain || this.#loaded.someSealed() || this.#followed.ageMs() >= stalenessMsMax;
  }

  /** Ends what it would do later. */
  close(): void {
    this.#peppers.close();
  }

  get #loaded(): LoadedPeppers {
    return this.#peppers.secrets ?? noPeppers;
  }
}

const noPeppers = new LoadedPeppers([]);
