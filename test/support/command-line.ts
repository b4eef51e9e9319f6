import { spawnSync } from "node:child_process";
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
