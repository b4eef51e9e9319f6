import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import type { Command } from "commander";
import type { CopyProgress } from "../store/copy-store.ts";
import { type CliIo, CommandEnd, exitStatus } from "./io.ts";
import { table } from "./print.ts";
import { tellingStartFaults } from "./serve.ts";

/** Time between two lines of progress, in ms. */
const tellEveryMs = 1_000;
const work = { now: Date.now, random: randomBytes };

interface CopyArguments {
  readonly from: string;
  readonly to: string;
}

/** Adds `store copy` and `store unfence`. */
export function addStoreCopyCommands(store: Command, json: () => boolean, io: CliIo): void {
  store
    .command("copy")
    .description("copy a whole store into an empty database of any kind; its servers must be stopped")
    .requiredOption("--from <url>", "database URL of the store, or @FILE that holds it")
    .requiredOption("--to <url>", "database URL of the copy, or @FILE that holds it")
    .action((options: CopyArguments) => tellingStartFaults(() => copy(options, json(), io)));
  store
    .command("unfence")
    .description("give a copy up: let servers use its source again")
    .requiredOption("--from <url>", "database URL of the store, or @FILE that holds it")
    .action(({ from }: CopyArguments) => tellingStartFaults(() => unfence(from, json(), io)));
}

async function copy({ from, to }: CopyArguments, json: boolean, { stdout, stderr, stop }: CliIo): Promise<void> {
  const { copyWholeStore } = await import("../store-work.ts");
  let toldMs = Number.NEGATIVE_INFINITY;
  const onProgress = (progress: CopyProgress) => {
    const nowMs = performance.now();
    if (nowMs - toldMs < tellEveryMs) return;
    toldMs = nowMs;
    stderr.write(`${json ? JSON.stringify(progress) : progressLine(progress)}\n`);
  };
  const report = await copyWholeStore({ from: urlOf(from), to: urlOf(to), onProgress, stop }, work);
  const { storeEpoch, revision, resumedAt, tables } = report;
  if (json) {
    stdout.write(`${JSON.stringify({ storeEpoch, revision: String(revision), resumedAt, tables })}\n`);
    return;
  }
  const rows = tables.map((one) => [one.table, String(one.rows), one.digest]);
  const lines =
    rows.length === 0 ? ["the copy was finished before"] : table(["TABLE", "ROWS", "SHA-256 OF BOTH"], rows);
  stdout.write(
    `${lines.join("\n")}\nthe copy is open, at revision ${revision}, store epoch ${storeEpoch}; the source stays fenced. ` +
      "Start servers on the copy, with the same master key file.\n",
  );
}

async function unfence(from: string, json: boolean, { stdout }: CliIo): Promise<void> {
  const { openFencedStore } = await import("../store-work.ts");
  const unfenced = await openFencedStore(urlOf(from), work);
  const text = unfenced ? "the store is open again; use no copy of it" : "the store isn't fenced";
  stdout.write(`${json ? JSON.stringify({ unfenced }) : text}\n`);
}

/** A URL with a password stands better in a file than among the arguments, which every process of the machine sees. */
function urlOf(argument: string): string {
  if (!argument.startsWith("@")) return argument;
  try {
    return readFileSync(argument.slice(1), "utf8").trim();
  } catch (error) {
    throw new CommandEnd(
      exitStatus.usage,
      `${argument.slice(1)} can't be read (${(error as NodeJS.ErrnoException).code})`,
    );
  }
}

function progressLine({ phase, table: name, done, total, rowsPerSecond, restSeconds }: CopyProgress): string {
  const rate = `${Math.round(rowsPerSecond)} rows/s`;
  return `${phase} ${name}: ${done} of ${total} rows, ${rate}, ${Math.ceil(restSeconds)} s left`;
}
