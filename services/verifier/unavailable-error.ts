/**
 * The verifier can't tell: what it knows is older than `maxStaleness` (STALE), it knows no key set yet (NOT_READY), or the
 * server or side-car that was to be asked gave no answer (OFFLINE). To be answered with UNAVAILABLE or 503, never as a bad token.
 */
export class VerifierUnavailableError extends Error {
  override readonly name = "VerifierUnavailableError";
  readonly reason: "STALE" | "NOT_READY" | "OFFLINE";

  constructor(reason: "STALE" | "NOT_READY" | "OFFLINE", message: string, options?: ErrorOptions) {
    super(message, options);
    this.reason = reason;
  }
}
