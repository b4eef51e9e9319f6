import { randomUUID } from "node:crypto";
import { closeSync, fsyncSync, linkSync, openSync, renameSync, rmSync, writeSync } from "node:fs";
import { dirname } from "node:path";

/**
 * Makes a file (mode 0600) that isn't there yet, whole or not at all; false if there is one. It is on disk, and so is
 * its name, when this returns.
 */
export function createFileDurably(path: string, text: string): boolean {
  return throughTemporary(path, text, (temporary) => {
    try {
      // A link, since a rename would replace what another process has made meanwhile.
      linkSync(temporary, path);
      return true;
    } catch (error) {
      if (error instanceof Error && "code" in error && error.code === "EEXIST") return false;
      throw error;
    }
  });
}

/** Writes a file (mode 0600) in the place of what is there, whole or not at all, and on disk when this returns. */
export function replaceFileDurably(path: string, content: string | Uint8Array): void {
  throughTemporary(path, content, (temporary) => renameSync(temporary, path));
}

/** Puts the name of a file that was just made on disk. */
export function syncFolderOf(path: string): void {
  const folder = openSync(dirname(path), "r");
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}

function throughTemporary<T>(path: string, content: string | Uint8Array, put: (temporary: string) => T): T {
  const temporary = `${path}.${randomUUID()}.tmp`;
  try {
    const file = openSync(temporary, "wx", 0o600);
    try {
      writeAll(file, content);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    const result = put(temporary);
    syncFolderOf(path);
    return result;
  } finally {
    rmSync(temporary, { force: true });
  }
}

/** A write may take less than it was given. */
function writeAll(file: number, content: string | Uint8Array): void {
  const bytes = Buffer.from(content);
  for (let at = 0; at < bytes.length; ) at += writeSync(file, bytes, at);
}
