import { deriveKey } from "../core/derive-key.ts";
import type { Peppers } from "../core/digest.ts";
import type { MasterKeys } from "./master-key.ts";
import { open, seal } from "./seal.ts";

const table = "idempotency_record";

/** Seals the answers that idempotency records keep, and gives the keys that arguments are fingerprinted under. */
export class AnswerSealer {
  readonly #masterKeys: MasterKeys;
  readonly #peppers: Pick<Peppers, "live">;
  readonly #random: (size: number) => Uint8Array;

  constructor(masterKeys: MasterKeys, peppers: Pick<Peppers, "live">, random: (size: number) => Uint8Array) {
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

  /** One of 32 bytes per loaded pepper, that of the current one first. */
  fingerprintKeys(): readonly Uint8Array[] {
    return this.#peppers.live().map(({ key }) => deriveKey(key, "fingerprint"));
  }
}
