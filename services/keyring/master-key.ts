import { closeSync, fstatSync, openSync, readFileSync } from "node:fs";
import { deriveKey } from "../core/derive-key.ts";
import { exposedRights, groupAndOthers } from "../core/file-rights.ts";
import { createFileDurably } from "../durable-file.ts";
import { KeyFileError } from "./key-file-error.ts";

/** A key that secrets at rest are sealed under. */
export interface MasterKey {
  /** 16 hex digits, made of the key by HKDF: tells which key it is, safe to log. */
  readonly id: string;
  /** 32 bytes; never logged. */
  readonly key: Uint8Array;
}

/** The loaded master keys: what is new is sealed under the current one, the others still open what they sealed. */
export class MasterKeys {
  readonly current: MasterKey;
  readonly #byId: ReadonlyMap<string, MasterKey>;

  /** `keys` are of 32 bytes each, the current one first. */
  constructor(keys: readonly [Uint8Array, ...Uint8Array[]]) {
    const [current, ...older] = keys;
    this.current = masterKeyOf(current);
    this.#byId = new Map([this.current, ...older.map(masterKeyOf)].map((master) => [master.id, master]));
  }

  byId(id: string): MasterKey | undefined {
    return this.#byId.get(id);
  }

  /** Ids of all of them, the current one first. */
  get ids(): readonly string[] {
    return [...this.#byId.keys()];
  }
}

const keyBytes = 32;

/**
 * Reads a master key file: base64 (with padding) of 32 bytes, one key a line, the current one first.
 * Throws KeyFileError if it isn't there, group or others have any right on it, it is empty, or a line is anything else.
 */
export function loadMasterKeys(path: string): MasterKeys {
  const lines = readPrivateFile(path).split("\n");
  if (lines.at(-1) === "") lines.pop();
  const keys = lines.map((line, index) => parseLine(path, line, index + 1));
  const [current, ...older] = keys;
  if (current === undefined) throw new KeyFileError(`the master key file ${path} is empty`);
  if (new Set(lines).size < lines.length) throw new KeyFileError(`the master key file ${path} holds a key twice`);
  return new MasterKeys([current, ...older]);
}

/**
 * Makes a master key file with one key of 32 random bytes, unless there is a file: then that one counts. Durable when
 * it returns, and never seen half written, so that processes that start together end up with the same key.
 * Says whether it made one. Throws KeyFileError if it can't.
 */
export function createMasterKeyFile(path: string, random: (size: number) => Uint8Array): boolean {
  try {
    return createFileDurably(path, `${Buffer.from(random(keyBytes)).toString("base64")}\n`);
  } catch (cause) {
    throw new KeyFileError(`the master key file ${path} can't be made: ${messageOf(cause)}`, { cause });
  }
}

function readPrivateFile(path: string): string {
  let descriptor: number | undefined;
  try {
    descriptor = openSync(path, "r");
    // Of what was opened, not of what the path may name by now.
    const rights = exposedRights(fstatSync(descriptor).mode, groupAndOthers);
    if (rights !== undefined) {
      throw new KeyFileError(`the master key file ${path} has mode ${rights}; it must be its owner's only: chmod 600`);
    }
    return readFileSync(descriptor, "utf8");
  } catch (cause) {
    if (cause instanceof KeyFileError) throw cause;
    throw new KeyFileError(`the master key file ${path} can't be read: ${messageOf(cause)}`, { cause });
  } finally {
    if (descriptor !== undefined) closeSync(descriptor);
  }
}

function parseLine(path: string, line: string, number: number): Uint8Array {
  const key = Buffer.from(line, "base64");
  // Node's decoder skips what isn't base64; only the one right text is taken.
  if (key.toString("base64") !== line || key.length !== keyBytes) {
    throw new KeyFileError(`line ${number} of the master key file ${path} is not the base64 of ${keyBytes} bytes`);
  }
  return key;
}

function masterKeyOf(key: Uint8Array): MasterKey {
  if (key.length !== keyBytes) throw new TypeError("a master key has 32 bytes");
  const id = Buffer.from(deriveKey(key, "master-key-id").subarray(0, 8)).toString("hex");
  return { id, key };
}

function messageOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
