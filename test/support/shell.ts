import { spawn } from "node:child_process";

export interface ShellResult {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** A terminal's session: what one command sets, later ones see. */
export interface Shell {
  run(commands: string): Promise<ShellResult>;
  close(): Promise<void>;
}

/** Starts bash in a folder. */
export function startShell(cwd: string, env: Readonly<Record<string, string>>): Shell {
  const bash = spawn("bash", ["--noprofile", "--norc"], { cwd, env, stdio: ["pipe", "pipe", "pipe"] });
  const ended = new Promise<void>((resolve) => bash.once("close", () => resolve()));
  let stdout = "";
  let stderr = "";
  let wake: () => void = () => {};
  bash.stdout.on("data", (bytes) => {
    stdout += bytes;
    wake();
  });
  bash.stderr.on("data", (bytes) => {
    stderr += bytes;
  });
  const end = /\nended with (\d+)\n$/;
  return {
    async run(commands) {
      stdout = "";
      stderr = "";
      // Braces keep the session, and close its commands off from what is to be run after them.
      bash.stdin.write(`{ ${commands}\n} </dev/null\nprintf '\\nended with %s\\n' $?\n`);
      for (let status = end.exec(stdout); ; status = end.exec(stdout)) {
        if (status !== null) return { status: Number(status[1]), stdout: stdout.slice(0, status.index), stderr };
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    },
    close() {
      bash.stdin.end();
      return ended;
    },
  };
}
