/** What the store needs of its process. */
export interface StoreDeps {
  /** Ms since the epoch. */
  readonly clock: { now(): number };
  /** So many bytes of a cryptographic source. */
  readonly random: (size: number) => Uint8Array;
  readonly log: StoreLog;
}

/** Where the store tells what no caller learns of. */
export interface StoreLog {
  info(fields: object, message: string): void;
  error(fields: object, message: string): void;
}
