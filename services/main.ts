#!/usr/bin/env node
import { runCommandLine } from "./cli/program.ts";
import { processEnvironment } from "./config.ts";

const stop = new AbortController();
for (const signal of ["SIGTERM", "SIGINT"] as const) {
  process.once(signal, () => stop.abort(new Error(signal)));
}
const { stdout, stderr, stdin } = process;
process.exitCode = await runCommandLine(process.argv.slice(2), {
  env: processEnvironment(),
  stdout,
  stderr,
  stdin,
  stop: stop.signal,
});
