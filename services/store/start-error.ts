/**
 * The store can't be used as it is, and waiting won't help: an operator must act. Thrown while starting only; the
 * message says what is wrong and where, and is for the operator's eyes (it may name paths, never a secret).
 */
export class StoreStartError extends Error {
  override readonly name = "StoreStartError";
}
