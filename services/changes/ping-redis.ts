import { Redis } from "ioredis";

const answerMsMax = 3_000;

/** Asks Redis for an answer, once. Rejects if there is none within some seconds; the message holds no password. */
export async function pingRedis(url: string): Promise<void> {
  const client = new Redis(url, {
    lazyConnect: true,
    connectTimeout: answerMsMax,
    commandTimeout: answerMsMax,
    retryStrategy: () => null,
    maxRetriesPerRequest: 0,
  });
  let cause: Error | undefined;
  // What went wrong is told here; the command is only told that there is no connection.
  client.on("error", (error) => {
    cause ??= error;
  });
  try {
    await client.ping();
  } catch (error) {
    throw cause ?? error;
  } finally {
    client.disconnect();
  }
}
