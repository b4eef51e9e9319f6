import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

const main = new URL("../../dist/services/main.js", import.meta.url).pathname;

/** A real `ichor serve` from the built code. */
export interface ServerProcess {
  readonly url: string;
  readonly dataDir: string;
  readonly pid: number;
  /** Every line that it logged so far. */
  readonly log: readonly string[];
  readonly rootCredential: string;
  /** SIGTERM; gives the exit status. */
  stop(): Promise<number | null>;
  /** SIGKILL: no chance to say goodbye. */
  kill(): Promise<void>;
}

export interface ServerOptions {
  readonly dataDir: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Further words of the command line. */
  readonly args?: readonly string[];
}

/** A fresh folder for a test's data, and how to remove it. */
export function temporaryFolder(name: string): { path: string; remove: () => void } {
  const path = mkdtempSync(join(tmpdir(), `ichor-${name}-`));
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) };
}

/** The environment of this process without Ichor's own variables, which tests use too. */
export function plainEnvironment(): Record<string, string> {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("ICHOR_"))) as Record<
    string,
    string
  >;
}

/** Starts a server on a free port and waits until it listens. Rejects with its log if it ends before. */
export async function startServer({ dataDir, env, args = [] }: ServerOptions): Promise<ServerProcess> {
  const child = spawn(process.execPath, [main, "serve", ...args], {
    env: { ...plainEnvironment(), ICHOR_DATA_DIR: dataDir, ICHOR_LISTEN: "127.0.0.1:0", ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const log: string[] = [];
  const ended = new Promise<number | null>((resolve) => child.once("close", (status) => resolve(status)));
  const address = await new Promise<string>((resolve, reject) => {
    for (const stream of [child.stdout, child.stderr]) {
      createInterface({ input: stream }).on("line", (line) => {
        log.push(line);
        const listening = /"address":"([^"]+)"/.exec(line);
        if (listening?.[1] !== undefined && line.includes("listening")) resolve(listening[1]);
      });
    }
    ended.then((status) => reject(new Error(`the server ended with ${status}:\n${log.join("\n")}`)));
  });
  return {
    url: address,
    dataDir,
    pid: child.pid as number,
    log,
    rootCredential: readFileSync(join(dataDir, "root.key"), "utf8").trim(),
    stop: () => end(child, "SIGTERM", ended),
    kill: async () => void (await end(child, "SIGKILL", ended)),
  };
}

function end(child: ChildProcess, signal: NodeJS.Signals, ended: Promise<number | null>): Promise<number | null> {
  child.kill(signal);
  return ended;
}
