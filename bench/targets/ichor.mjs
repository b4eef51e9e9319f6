import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { runCommandLine } from "../../dist/services/cli/program.js";
import { prepareKeys } from "./keys.mjs";
import { tell } from "./tell.mjs";

// The server as `ichor serve` runs it, with its log going to a file.
const stop = new AbortController();
process.once("SIGTERM", () => stop.abort(new Error("SIGTERM")));

tell(async (options) => {
  const port = 20_000 + (randomBytes(2).readUInt16BE() % 20_000);
  const env = { ...process.env, ICHOR_LISTEN: `127.0.0.1:${port}` };
  const { stdout, stderr, stdin } = process;
  const io = { env, stdout, stderr, stdin, stop: stop.signal, onReload() {} };
  runCommandLine(["serve"], io).then((status) => process.exit(status));
  await answering(`http://127.0.0.1:${port}/readyz`);
  const rootCredential = readFileSync(join(env.ICHOR_DATA_DIR, "root.key"), "utf8").trim();
  return { port, ...(await prepareKeys(port, rootCredential, options)) };
});

async function answering(url) {
  for (;;) {
    const answer = await fetch(url).catch(() => undefined);
    if (answer?.ok) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
