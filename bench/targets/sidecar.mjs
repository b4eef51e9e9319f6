import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { runCommandLine } from "../../dist/services/cli/program.js";
import { apiOf } from "../lib/api.mjs";
import { tell } from "./tell.mjs";

const stop = new AbortController();
process.once("SIGTERM", () => stop.abort(new Error("SIGTERM")));

// `ichor sidecar` beside the server that `server` tells of, with its log going to a file. `socket`: on a Unix socket.
tell(async ({ server, socket = false }) => {
  const folder = process.env.ICHOR_DATA_DIR;
  const scopes = ["ichor:keyset:watch", "ichor:keys:verify"];
  const { credential } = await apiOf(server)("AdminService/IssueApiKey", { name: "side-car", scopes });
  const credentialFile = join(folder, "sidecar.key");
  writeFileSync(credentialFile, credential, { mode: 0o600 });
  const upstream = ["--upstream", `http://127.0.0.1:${server.port}`, "--credential-file", credentialFile];
  const socketPath = join(folder, "s");
  const listen = ["--listen", socket ? `unix:${socketPath}` : "127.0.0.1:0"];
  const { listening, stdout } = watched();
  const io = {
    env: { ...process.env },
    stdout,
    stderr: process.stderr,
    stdin: process.stdin,
    stop: stop.signal,
    onReload() {},
  };
  runCommandLine(["sidecar", ...upstream, ...listen], io).then((status) => process.exit(status));
  const address = await listening;
  return { ...server, ...(socket ? { socketPath } : { port: Number(new URL(address).port) }) };
});

/** Passes the log on, and resolves with the address once it follows the server. */
function watched() {
  const stdout = { write: (text) => process.stdout.write(text) };
  const listening = new Promise((resolve) => {
    let address;
    stdout.write = (text) => {
      for (const line of text.split("\n").filter(Boolean)) {
        const { msg, address: told } = JSON.parse(line);
        address ??= told;
        if (msg !== "follows the server") continue;
        stdout.write = (later) => process.stdout.write(later);
        resolve(address);
      }
      process.stdout.write(text);
    };
  });
  return { listening, stdout };
}
