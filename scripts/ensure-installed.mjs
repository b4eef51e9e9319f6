import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readFileSync, realpathSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { arch, argv, platform, stderr, versions } from "node:process";
import { fileURLToPath } from "node:url";
import { withLock } from "./lock.mjs";

// Runs before anything is installed: only node: imports here and in what this imports.

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const recordPath = join(root, "node_modules", ".ichor-installed");

/**
 * Installs the locked dependencies if node_modules does not hold them: on a fresh clone, after a change of
 * package-lock.json, and for another Node ABI (one dependency is compiled). Throws if npm fails.
 */
export async function ensureInstalled() {
  if (isInstalled()) return;
  await withLock(join(root, ".build-install.lock"), installUnlessDone, () => say("waiting for another install"));
}

function installUnlessDone() {
  if (isInstalled()) return;
  const wanted = fingerprint();
  if (!holdsLockedPackages()) {
    say("installing dependencies (compiles better-sqlite3, 1-3 minutes)");
    const startMs = Date.now();
    const { status, error } = spawnSync("npm", ["ci", "--no-audit", "--no-fund", "--loglevel=error"], {
      cwd: root,
      stdio: ["ignore", stderr.fd, stderr.fd],
      shell: platform === "win32",
    });
    if (error) throw error;
    if (status !== 0)
      throw new Error("npm ci failed (it compiles better-sqlite3: needs python3, make and a C++ compiler)");
    say(`installed in ${Math.round((Date.now() - startMs) / 1000)} s`);
  }
  writeFileSync(recordPath, wanted);
}

function isInstalled() {
  return existsSync(recordPath) && readFileSync(recordPath, "utf8") === fingerprint();
}

function fingerprint() {
  const lock = readFileSync(join(root, "package-lock.json"));
  return createHash("sha256").update(`${platform} ${arch} ${versions.modules}\n`).update(lock).digest("hex");
}

/**
 * Whether `npm install` was run by hand and left what the lock file asks for: then there is nothing to do. Not trusted
 * after a change of the Node ABI, which leaves a record of the former one.
 */
function holdsLockedPackages() {
  const installedPath = join(root, "node_modules", ".package-lock.json");
  if (!existsSync(installedPath) || !compiledForThisNode()) return false;
  const installed = JSON.parse(readFileSync(installedPath, "utf8")).packages;
  const { "": _root, ...locked } = JSON.parse(readFileSync(join(root, "package-lock.json"), "utf8")).packages;
  const missing = Object.keys(locked).some(
    (path) => !locked[path].optional && installed[path]?.version !== locked[path].version,
  );
  const foreign = Object.keys(installed).some((path) => locked[path]?.version !== installed[path].version);
  return !missing && !foreign;
}

function compiledForThisNode() {
  const probe = 'new (require("better-sqlite3"))(":memory:").close()';
  return spawnSync(process.execPath, ["-e", probe], { cwd: root, stdio: "ignore" }).status === 0;
}

function say(message) {
  stderr.write(`ichor: ${message}\n`);
}

if (realpathSync(argv[1]) === fileURLToPath(import.meta.url)) {
  try {
    await ensureInstalled();
  } catch (error) {
    say(error.message);
    process.exitCode = 1;
  }
}
