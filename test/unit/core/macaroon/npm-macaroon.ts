import { createRequire } from "node:module";

/** What we use of npm `macaroon` 3.0.4, which has no types. */
export interface ForeignMacaroon {
  addFirstPartyCaveat(caveat: string): void;
  /** Throws unless the signature is right and `check` gives null for every caveat. */
  verify(rootKey: Uint8Array, check: (caveat: string) => string | null, discharges: readonly ForeignMacaroon[]): void;
  /** v2. */
  exportJSON(): unknown;
}

export const npmMacaroon = createRequire(import.meta.url)("macaroon") as {
  importMacaroon(bytes: Uint8Array): ForeignMacaroon;
  newMacaroon(made: {
    identifier: Uint8Array;
    location: string;
    rootKey: Uint8Array;
    version: number;
  }): ForeignMacaroon;
};
