/** What the store needs of its process. */
export interface StoreDeps {
  /** Ms since the epoch. */
  readonly clock: { now(): number };
  /** So many bytes of a cryptographic source. */
  readonly random: (size: number) => Uint8Array;
  readonly log: StoreLog;
  /** Told each use of the database, to follow it as a step of what asked for it. Default: it is only run. */
  readonly step?: StoreStep;
}

/** Runs a use of the database, and gives what that gives. */
export type StoreStep = <T>(name: "store.transaction" | "store.read", work: () => Promise<T>) => Promise<T>;

/** Where the store tells what no caller learns of. */
export interface StoreLog {
  info(fields: object, message: string): void;
  error(fields: object, message: string): void;
}
