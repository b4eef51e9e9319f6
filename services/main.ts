#!/usr/bin/env node
import { runCommandLine } from "./cli/program.ts";
import { processEnvironment } from "./config/environment.ts";

const stop = new AbortController();
for (const signal of ["SIGTERM", "SIGINT"] as const) {
  // Each time it comes: Ctrl-C reaches npm and the server, and npm hands it on. Draining is bounded in time by itself.
  process.on(signal, () => stop.abort(new Error(signal)));
}
const { stdout, stderr, stdin } = process;
process.exitCode = await runCommandLine(process.argv.slice(2), {
  env: processEnvironment(),
  stdout,
  stderr,
  stdin,
  stop: stop.signal,
  onReload: (callback) => void process.on("SIGHUP", callback),
});
