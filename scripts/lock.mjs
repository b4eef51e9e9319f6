import { linkSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";

const pollMs = 200;

/**
 * Runs `work` while no other process of this machine holds the lock file `path`. The file holds its owner's process id;
 * one whose owner is gone is taken over. `onWait` is called once if the lock is held.
 */
export async function withLock(path, work, onWait = () => {}) {
  let waited = false;
  while (!acquire(path)) {
    if (removeStale(path)) continue;
    if (!waited) onWait();
    waited = true;
    await pause(pollMs);
  }
  try {
    return await work();
  } finally {
    if (ownerOf(path) === process.pid) rmSync(path, { force: true });
  }
}

/** Links a complete file into place, so that nobody ever reads a lock without its owner. */
function acquire(path) {
  const mine = `${path}.${process.pid}`;
  writeFileSync(mine, `${process.pid}\n`);
  try {
    linkSync(mine, path);
    return true;
  } catch (error) {
    if (error.code === "EEXIST") return false;
    throw error;
  } finally {
    rmSync(mine, { force: true });
  }
}

function removeStale(path) {
  const owner = ownerOf(path);
  if (owner === undefined || isAlive(owner)) return false;
  // Another process may have taken it over since: look again at what was moved, and give it back if it is held.
  const moved = `${path}.stale.${process.pid}`;
  try {
    renameSync(path, moved);
  } catch (error) {
    if (error.code === "ENOENT") return true;
    throw error;
  }
  const held = ownerOf(moved) !== owner;
  if (held) renameSync(moved, path);
  else rmSync(moved, { force: true });
  return !held;
}

function ownerOf(path) {
  try {
    return Number.parseInt(readFileSync(path, "utf8"), 10);
  } catch (error) {
    if (error.code === "ENOENT") return undefined;
    throw error;
  }
}

function isAlive(pid) {
  // A lock of our own id was left by an earlier process that had it (ids repeat in containers).
  if (pid === process.pid) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === "EPERM";
  }
}
