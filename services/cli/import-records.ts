import { createReadStream } from "node:fs";
import { CommandEnd, exitStatus } from "./io.ts";

/** One record of a file that is being read: a line, or several if a quoted CSV value goes on. */
export interface TextRecord {
  /** Where it begins, from 1. */
  readonly line: number;
  readonly text: string;
  /** Where the next one begins, in bytes of the file. */
  readonly endOffset: number;
  readonly endLine: number;
}

/** Where reading goes on. */
export interface FilePlace {
  readonly offset: number;
  readonly line: number;
}

const recordBytesMax = 1024 * 1024;
const newline = 0x0a;
const quote = 0x22;

/**
 * Reads a file record by record from a place, in memory that doesn't grow with the file; empty lines are passed over.
 * `quoted`: a newline between quotes belongs to the record (RFC 4180). Throws CommandEnd for a record of over 1 MiB.
 */
export async function* readRecords(path: string, from: FilePlace, quoted: boolean): AsyncGenerator<TextRecord> {
  let rest = Buffer.alloc(0);
  let { offset, line } = from;
  let scanned = 0;
  let lines = 0;
  let inQuotes = false;
  const record = (end: number): TextRecord => {
    const bytes = rest.subarray(0, end);
    const begin = line;
    line += lines + 1;
    offset += Math.min(end + 1, rest.length);
    rest = rest.subarray(end + 1);
    scanned = 0;
    lines = 0;
    inQuotes = false;
    return { line: begin, text: bytes.toString("utf8").replace(/\r$/, ""), endOffset: offset, endLine: line };
  };
  for await (const chunk of createReadStream(path, { start: from.offset })) {
    rest = Buffer.concat([rest, chunk]);
    for (; scanned < rest.length; scanned++) {
      const byte = rest[scanned];
      if (quoted && byte === quote) inQuotes = !inQuotes;
      if (byte !== newline) continue;
      if (inQuotes) {
        lines++;
        continue;
      }
      const found = record(scanned);
      scanned = -1;
      if (found.text.trim() !== "") yield found;
    }
    if (rest.length > recordBytesMax) {
      throw new CommandEnd(exitStatus.usage, `line ${line} of ${path} has over 1 MiB, or a quote that doesn't end`);
    }
  }
  if (rest.length === 0) return;
  const last = record(rest.length);
  if (last.text.trim() !== "") yield last;
}

/** Splits a CSV record into its values (RFC 4180). undefined if its quotes are wrong. */
export function csvValues(text: string): readonly string[] | undefined {
  const values: string[] = [];
  let at = 0;
  for (;;) {
    const pattern = text[at] === '"' ? /"((?:[^"]|"")*)"/y : /([^",]*)/y;
    pattern.lastIndex = at;
    const value = pattern.exec(text)?.[1];
    if (value === undefined) return undefined;
    values.push(text[at] === '"' ? value.replaceAll('""', '"') : value);
    at = pattern.lastIndex;
    if (at === text.length) return values;
    if (text[at] !== ",") return undefined;
    at++;
  }
}
