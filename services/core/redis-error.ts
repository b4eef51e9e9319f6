/**
 * Gives what a Redis client failed with, for a log: without the command that ioredis puts into its errors, since that of a
 * refused login holds the password.
 */
export function redisError(error: unknown): unknown {
  if (error instanceof Error && "command" in error) delete error.command;
  return error;
}
