import { closeSync, existsSync, fsyncSync, ftruncateSync, openSync, readSync, statSync, writeSync } from "node:fs";
import { type Command, Option } from "commander";
import { type ExportedEntry, type ExportFormat, exportFormats } from "./audit-lines.ts";
import { adminClient } from "./client.ts";
import { type CliIo, CommandEnd, exitStatus } from "./io.ts";

const pageSize = 1000;
/** No line is longer, in bytes. */
const lineBytesMax = 256 * 1024;

/** Adds `audit export`. */
export function addAuditExport(audit: Command, program: Command, io: CliIo): void {
  audit
    .command("export")
    .description("write the trail, the oldest first, up to the newest revision; the same command goes on after it")
    .addOption(
      new Option("--format <format>", "JSON lines, which can be verified, or CSV of the tenant's events")
        .choices(Object.keys(exportFormats))
        .default("jsonl"),
    )
    .option("--out <file>", "where to; what is there is gone on with (default: standard output)")
    .option("--after <revision>", "only later ones, in a file that is begun", BigInt)
    .option("--no-links", "leave out the chain's links, and with them the revisions of other tenants")
    .action(async ({ format, out, after, links }) => {
      const chosen = exportFormats[format as keyof typeof exportFormats];
      const withLinks = links && format === "jsonl";
      const target = out === undefined ? undefined : new ExportFile(out, chosen);
      const begin = { after: target?.lastRevision ?? after ?? 0n, withLinks };
      const write = (text: string) => (target === undefined ? void io.stdout.write(text) : target.write(text));
      if (chosen.header !== undefined && (target?.isEmpty ?? true)) write(`${chosen.header}\n`);
      const last = await exportTrail(io, chosen, begin, write);
      target?.close();
      if (target === undefined) return;
      const told = { file: out, lastRevision: String(last) };
      io.stdout.write(
        program.opts().json === true ? `${JSON.stringify(told)}\n` : `${out} holds the trail up to revision ${last}\n`,
      );
    });
}

/** Writes page by page; gives the last revision that was looked at. */
async function exportTrail(
  io: CliIo,
  format: ExportFormat,
  { after, withLinks }: { readonly after: bigint; readonly withLinks: boolean },
  write: (text: string) => void,
): Promise<bigint> {
  const client = adminClient(io);
  const request = { filter: `revision > ${after}`, orderBy: "revision", pageSize, withLinks };
  let last = after;
  let pageToken = "";
  do {
    const page = await client.listAuditEvents({ ...request, pageToken });
    const eventOf = new Map(page.auditEvents.map((event) => [event.revision, event]));
    const entries: readonly ExportedEntry[] = withLinks
      ? page.links.map((link) => ({ link, event: eventOf.get(link.revision) }))
      : page.auditEvents.map((event) => ({ event }));
    const lines = entries.flatMap((entry) => format.line(entry) ?? []);
    if (lines.length > 0) write(`${lines.join("\n")}\n`);
    const newest = entries.at(-1);
    last = newest?.link?.revision ?? newest?.event?.revision ?? last;
    pageToken = page.nextPageToken;
  } while (pageToken !== "" && !io.stop.aborted);
  return last;
}

/** A file that grows by whole lines: half a line of a run that was killed is cut off. */
class ExportFile {
  readonly lastRevision: bigint | undefined;
  readonly isEmpty: boolean;
  readonly #descriptor: number;

  /** Throws CommandEnd if the file's last line isn't one of an export. */
  constructor(path: string, format: ExportFormat) {
    const size = existsSync(path) ? statSync(path).size : 0;
    this.#descriptor = openSync(path, size === 0 ? "a" : "r+", 0o600);
    const { end, line } = lastLineOf(this.#descriptor, size);
    if (end < size) ftruncateSync(this.#descriptor, end);
    this.isEmpty = end === 0;
    this.lastRevision = line === undefined || line === format.header ? undefined : format.revisionOf(line);
    if (line !== undefined && line !== format.header && this.lastRevision === undefined) {
      throw new CommandEnd(exitStatus.usage, `${path} isn't an export of this format`);
    }
    this.#at = end;
  }

  #at: number;

  write(text: string): void {
    const bytes = Buffer.from(text);
    for (let written = 0; written < bytes.length; ) {
      const taken = writeSync(this.#descriptor, bytes, written, bytes.length - written, this.#at);
      written += taken;
      this.#at += taken;
    }
  }

  close(): void {
    fsyncSync(this.#descriptor);
    closeSync(this.#descriptor);
  }
}

/** The last whole line, and where it ends. */
function lastLineOf(descriptor: number, size: number): { readonly end: number; readonly line?: string } {
  if (size === 0) return { end: 0 };
  const tail = Buffer.alloc(Math.min(size, lineBytesMax));
  readSync(descriptor, tail, 0, tail.length, size - tail.length);
  const newline = tail.lastIndexOf("\n");
  if (newline < 0) return { end: 0 };
  const begin = tail.lastIndexOf("\n", newline - 1) + 1;
  return { end: size - tail.length + newline + 1, line: tail.subarray(begin, newline).toString("utf8") };
}
