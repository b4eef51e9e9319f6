import { deriveKey } from "../core/derive-key.ts";
import type { MasterKeys } from "./master-key.ts";
import type { LoadedPeppers } from "./peppers.ts";
import { open, seal } from "./seal.ts";

const table = "idempotency_record";

/** Seals the answers that idempotency records keep, and gives the keys that arguments are fingerprinted under. */
export class AnswerSealer {
  readonly #masterKeys: MasterKeys;
  readonly #peppers: () => LoadedPeppers;
  readonly #random: (size: number) => Uint8Array;

  /** `peppers` gives those of now. */
  constructor(masterKeys: MasterKeys, peppers: () => LoadedPeppers, random: (size: number) => Uint8Array) {
    this.#masterKeys = masterKeys;
    this.#peppers = peppers;
    this.#random = random;
  }

  seal(rowId: string, plaintext: Uint8Array): Uint8Array {
    return seal(this.#masterKeys, { table, rowId }, plaintext, this.#random);
  }

  /** Throws SECRET_NOT_LOADED; see `open` in seal.ts. */
  open(rowId: string, sealed: Uint8Array): Uint8Array {
    return open(this.#masterKeys, { table, rowId }, sealed);
  }

  /** One of 32 bytes per loaded pepper, the newest first. */
  fingerprintKeys(): readonly Uint8Array[] {
    return this.#peppers().newestFirst.map(({ key }) => deriveKey(key, "fingerprint"));
  }
}
