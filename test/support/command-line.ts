import { spawn, spawnSync } from "node:child_process";
import { createInterface } from "node:readline";
import { plainEnvironment } from "./server-process.ts";

const main = new URL("../../dist/services/main.js", import.meta.url).pathname;

export interface CommandOptions {
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
  readonly input?: string;
}

/** Runs `ichor` from the built code to its end; what never ends is killed, and has no status. */
export function runIchor(args: readonly string[], { cwd, env, input = "" }: CommandOptions) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [main, ...args], {
    cwd,
    env: { ...plainEnvironment(), ...env },
    input,
    encoding: "utf8",
    timeout: 20_000,
    killSignal: "SIGKILL",
  });
  return { status, stdout, stderr };
}

/** A command that goes on until it is told to stop, and what it prints. */
export interface RunningCommand {
  /** The lines of its output so far. */
  readonly lines: readonly string[];
  /** The first line that fits, of those that were printed or come. Rejects if the command ends before. */
  line(fits: (line: string) => boolean): Promise<string>;
  /** Sends SIGINT, as Ctrl-C does; gives the exit status and what it said on standard error. */
  interrupt(): Promise<{ readonly status: number | null; readonly stderr: string }>;
  /** Sends SIGHUP, which lets a process read its configuration again. */
  reload(): void;
  /** Sends SIGKILL; resolves when it has ended. */
  kill(): Promise<unknown>;
  /** Resolves when it has ended by itself. */
  readonly ended: Promise<{ readonly status: number | null; readonly stderr: string }>;
}

/** Starts `ichor` from the built code. */
export function startIchor(args: readonly string[], { cwd, env }: CommandOptions): RunningCommand {
  const child = spawn(process.execPath, [main, ...args], {
    cwd,
    env: { ...plainEnvironment(), ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const lines: string[] = [];
  const waiting = new Set<() => void>();
  let stderr = "";
  let over = false;
  child.stderr.on("data", (data) => {
    stderr += data;
  });
  const look = () => {
    for (const again of [...waiting]) again();
  };
  createInterface({ input: child.stdout }).on("line", (line) => {
    lines.push(line);
    look();
  });
  const ended = new Promise<{ status: number | null; stderr: string }>((resolve) => {
    child.once("close", (status) => {
      over = true;
      look();
      resolve({ status, stderr });
    });
  });
  return {
    lines,
    ended,
    line: (fits) =>
      new Promise((resolve, reject) => {
        const again = () => {
          const found = lines.find(fits);
          if (found === undefined && !over) return;
          waiting.delete(again);
          if (found === undefined) reject(new Error(`ended without it: ${lines.join("\n")}\n${stderr}`));
          else resolve(found);
        };
        waiting.add(again);
        again();
      }),
    reload: () => void child.kill("SIGHUP"),
    kill: () => {
      child.kill("SIGKILL");
      return ended;
    },
    interrupt: () => {
      child.kill("SIGINT");
      return ended;
    },
  };
}
