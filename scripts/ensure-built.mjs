import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { argv, stderr } from "node:process";
import { fileURLToPath } from "node:url";
import { ensureInstalled } from "./ensure-installed.mjs";
import { withLock } from "./lock.mjs";

// Runs before anything is installed: only node: imports here and in what this imports.

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const dist = join(root, "dist");
const recordName = ".sources";
const temporaryPrefix = ".build-out-";

/**
 * Installs what is missing, then compiles services/, docs/examples/ and gen/ to dist/ if they changed since the last build. dist/ is
 * replaced as a whole by a rename: it is never half written, also when several processes start at once. Throws if the
 * sources do not compile; dist/ then stays as it was.
 */
export async function ensureBuilt() {
  await ensureInstalled();
  if (isBuilt()) return;
  await withLock(join(root, ".build-dist.lock"), buildUnlessDone, () => say("waiting for another build"));
}

function buildUnlessDone() {
  if (isBuilt()) return;
  removeLeftovers();
  say("building dist");
  const startMs = Date.now();
  // Taken before compiling: an edit during the build makes the next start build again.
  const sources = fingerprint();
  const out = mkdtempSync(join(root, temporaryPrefix));
  const tsc = join(root, "node_modules", "typescript", "bin", "tsc");
  const { status } = spawnSync(process.execPath, [tsc, "-p", "tsconfig.build.json", "--outDir", out], {
    cwd: root,
    stdio: ["ignore", stderr.fd, stderr.fd],
  });
  if (status !== 0) {
    rmSync(out, { recursive: true, force: true });
    throw new Error("the sources do not compile");
  }
  writeFileSync(join(out, recordName), sources);
  replaceDist(out);
  say(`built in ${((Date.now() - startMs) / 1000).toFixed(1)} s`);
}

function replaceDist(out) {
  const old = `${out}.old`;
  if (existsSync(dist)) renameSync(dist, old);
  renameSync(out, dist);
  rmSync(old, { recursive: true, force: true });
}

/** Removes what builds left that were interrupted. Only under the lock. */
function removeLeftovers() {
  for (const name of readdirSync(root)) {
    if (name.startsWith(temporaryPrefix)) rmSync(join(root, name), { recursive: true, force: true });
  }
}

function isBuilt() {
  const record = join(dist, recordName);
  return existsSync(record) && readFileSync(record, "utf8") === fingerprint();
}

function fingerprint() {
  const hash = createHash("sha256");
  for (const name of ["package-lock.json", "tsconfig.json", "tsconfig.build.json"]) add(hash, name);
  for (const folder of ["services", "docs/examples", "gen"]) addFolder(hash, folder);
  return hash.digest("hex");
}

function addFolder(hash, folder) {
  const entries = readdirSync(join(root, folder), { withFileTypes: true });
  for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const path = `${folder}/${entry.name}`;
    if (entry.isDirectory()) addFolder(hash, path);
    else if (entry.name.endsWith(".ts")) add(hash, path);
  }
}

function add(hash, path) {
  const content = readFileSync(join(root, path));
  hash.update(`${path} ${content.length}\n`).update(content);
}

function say(message) {
  stderr.write(`ichor: ${message}\n`);
}

if (realpathSync(argv[1]) === fileURLToPath(import.meta.url)) {
  try {
    await ensureBuilt();
  } catch (error) {
    say(error.message);
    process.exitCode = 1;
  }
}
