import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { chownSync, rmSync } from "node:fs";
import { createConnection } from "mariadb";
import { mariadbOptions } from "./databases.ts";
import { freePort } from "./free-port.ts";
import { temporaryFolder } from "./server-process.ts";

/** A database server of a test's own, which may be killed without hurting anybody. */
export interface PrivateServer {
  readonly url: string;
  /** SIGKILL to the server, and a new start; resolves once it answers again. */
  crash(): Promise<void>;
  stop(): Promise<void>;
}

const startMsMax = 60_000;

/** Starts a MariaDB in a temporary folder on a free port; as root, which it refuses to run as, as the user `mysql`. */
export async function startPrivateMariadb(): Promise<PrivateServer> {
  const folder = temporaryFolder("mariadb");
  const isRoot = process.getuid?.() === 0;
  const user = isRoot ? ["--user=mysql"] : [];
  if (isRoot) chownSync(folder.path, idOf("-u"), idOf("-g"));
  const data = `--datadir=${folder.path}`;
  const install = ["--no-defaults", ...user, data, "--auth-root-authentication-method=normal", "--skip-test-db"];
  execFileSync("mariadb-install-db", install, { stdio: "ignore" });
  const port = await freePort();
  const url = `mysql://root@127.0.0.1:${port}`;
  const run = [
    ...["--no-defaults", ...user, data, `--port=${port}`, "--bind-address=127.0.0.1"],
    // Survives the death of the process, which is what is tried; the machine lives.
    ...[`--socket=${folder.path}/server.sock`, "--skip-log-bin", "--innodb-flush-log-at-trx-commit=2"],
  ];
  const start = async () => {
    const child = spawn("mariadbd", run, { stdio: "ignore" });
    await answers(url, once(child, "close"));
    return child;
  };
  let child = await start();
  const end = async (signal: NodeJS.Signals) => {
    const ended = once(child, "close");
    child.kill(signal);
    await ended;
  };
  return {
    url,
    async crash() {
      await end("SIGKILL");
      child = await start();
    },
    async stop() {
      await end("SIGTERM");
      rmSync(folder.path, { recursive: true, force: true });
    },
  };
}

function idOf(which: "-u" | "-g"): number {
  return Number(execFileSync("id", [which, "mysql"], { encoding: "utf8" }));
}

async function answers(url: string, ended: Promise<unknown>): Promise<void> {
  const deadlineMs = performance.now() + startMsMax;
  let running = true;
  ended.then(() => {
    running = false;
  });
  for (;;) {
    try {
      const connection = await createConnection({ ...mariadbOptions(url), connectTimeout: 500 });
      await connection.end();
      return;
    } catch (error) {
      if (!running || performance.now() > deadlineMs) throw error;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}
