import { createHash } from "node:crypto";
import { closeSync, existsSync, openSync, readFileSync, readSync, rmSync, statSync, truncateSync } from "node:fs";
import { replaceFileDurably } from "../durable-file.ts";
import { CommandEnd, exitStatus } from "./io.ts";

/** How far the import of a file has come: everything before `offset` was answered for. */
export interface ImportState {
  readonly offset: number;
  readonly line: number;
  readonly imported: number;
  /** Credentials that had a key already, as what a run that was killed had sent. */
  readonly present: number;
  readonly refused: number;
  /** Length of the report of refused lines by then. */
  readonly reportBytes: number;
}

const begin: ImportState = { offset: 0, line: 1, imported: 0, present: 0, refused: 0, reportBytes: 0 };
const headBytes = 64 * 1024;

/** The state of importing one file, kept beside it, so that a run that was interrupted goes on. */
export class ImportStateFile {
  readonly path: string;
  readonly reportPath: string;
  readonly #fingerprint: string;

  constructor(file: string) {
    this.path = `${file}.import-state.json`;
    this.reportPath = `${file}.refused.jsonl`;
    this.#fingerprint = fingerprintOf(file);
  }

  /** Gives where to go on; `restart`: from the beginning. Throws CommandEnd if the file isn't the one that was begun. */
  read(restart: boolean): ImportState {
    const state = restart || !existsSync(this.path) ? begin : this.#parse();
    if (existsSync(this.reportPath)) truncateSync(this.reportPath, state.reportBytes);
    return state;
  }

  write(state: ImportState): void {
    replaceFileDurably(this.path, `${JSON.stringify({ fingerprint: this.#fingerprint, ...state })}\n`);
  }

  remove(): void {
    rmSync(this.path, { force: true });
  }

  #parse(): ImportState {
    const { fingerprint, ...state } = JSON.parse(readFileSync(this.path, "utf8"));
    if (fingerprint === this.#fingerprint) return state;
    throw new CommandEnd(
      exitStatus.usage,
      `${this.path} belongs to another content of the file; give --restart to begin anew`,
    );
  }
}

/** Tells a file by its size and its beginning. */
function fingerprintOf(path: string): string {
  const descriptor = openSync(path, "r");
  try {
    const head = Buffer.alloc(headBytes);
    const length = readSync(descriptor, head, 0, headBytes, 0);
    const { size } = statSync(path);
    return createHash("sha256").update(`${size}\n`).update(head.subarray(0, length)).digest("hex");
  } finally {
    closeSync(descriptor);
  }
}
