import { execFileSync } from "node:child_process";
import { symlinkSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { plainEnvironment } from "./server-process.ts";

/** What the packages say that they need. */
const needed = ["@bufbuild/protobuf", "@connectrpc/connect", "@connectrpc/connect-node", "jose"];

/** Packs `@ichor/verifier` and `@ichor/client` and installs them in a folder, from this repository: no network is needed. */
export function installPackages(folder: string): void {
  for (const name of ["verifier", "client"]) {
    execFileSync(process.execPath, ["scripts/pack-package.mjs", name, folder], { stdio: "pipe" });
  }
  const dependencies = {
    "@ichor/verifier": "file:ichor-verifier-0.1.0.tgz",
    "@ichor/client": "file:ichor-client-0.1.0.tgz",
    ...Object.fromEntries(needed.map((name) => [name, `file:${resolve("node_modules", name)}`])),
  };
  writeFileSync(join(folder, "package.json"), JSON.stringify({ private: true, type: "module", dependencies }));
  const args = ["install", "--offline", "--no-audit", "--no-fund", "--install-links", "--ignore-scripts"];
  execFileSync("npm", args, { cwd: folder, env: plainEnvironment(), stdio: "pipe" });
}

/** Lets a project find a package of this repository, with all that it needs in turn. */
export function linkPackage(folder: string, name: string): void {
  symlinkSync(resolve("node_modules", name), join(folder, "node_modules", name));
}
