/**
 * Something about the keys that the server starts with is wrong, and waiting won't help: an operator must act. The
 * message says what and where, and holds no secret.
 */
export class KeyFileError extends Error {
  override readonly name = "KeyFileError";
}
